"""What a judge looks like from outside. Imports no torch, so that commands can name judges without loading it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ood_lightning.data.remote.thoughts import after_thoughts
from ood_lightning.errors import UserError
from ood_lightning.ranges import Ranged


class JudgeError(UserError, RuntimeError):
    """A judge that cannot be asked, or whose answers cannot be used."""


class Question(NamedTuple):
    """One question about a word.

    Attributes:
        word: a candidate for a negative.
        name: an ID name, to ask whether the word is a subcategory of it; None to ask whether it is a proper noun.
    """

    word: str
    name: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a judge said.

    Attributes:
        yes: None where it said neither yes nor no.
        said: its reply, where it wrote one.
        margin: logit of yes minus logit of no, in nats; None where no logits were read.
        mass: probability of yes and no together; None where no logits were read.
        tokens: number of tokens read and written; 0 where unknown.
    """

    yes: bool | None
    said: str = ""
    margin: float | None = None
    mass: float | None = None
    tokens: int = 0


class Judge(Ranged, ABC):
    """Answers questions with yes or no. A config names a subclass by its class path; there is no other registry."""

    llm: ClassVar[bool] = True  # whether its answers may hold a language model's knowledge; label sets then say `llm`
    remembered: ClassVar[bool] = True  # whether its answers cost enough to be kept on disk

    @property
    @abstractmethod
    def identity(self) -> str:
        """All that can change an answer (model, wording, options), as one line."""

    def check(self) -> str:
        """What can be known before the first question, in words.

        Raises:
            JudgeError: it cannot be asked.
        """
        return self.identity

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Answer every question once.

        Args:
            questions: distinct.

        Yields:
            Answers with the question's index, as soon as they are there, in any order.

        Raises:
            JudgeError: the judge cannot go on; answers yielded before stay valid.
        """


# "No-one", "No idea", "No doubt" and "Yes or no" are neither; a reply may be headed, as in "Answer: Yes"
_ANSWER = re.compile(
    r"\W*(?:(?:(?:the|my|final) )*answer(?: is)?\W+)?(yes|no)(?![\w]|[-'\u2019]\w)"
    r"(?!\s+(?:one|idea|clue|way|opinion|answer|information|comment|doubt|problem|question|worries)\b)"
    r"(?!\W*(?:[/|]|\bor\b|\band\b)\W*(?:yes|no)\b)",
    re.IGNORECASE,
)
SYSTEM_MESSAGE = "You are a helpful assistant. Answering only Yes/No."


def wording(question: Question, misspelt: bool) -> str:
    """The question as NegRefine puts it to a language model.

    Args:
        question: about a word.
        misspelt: write 'subcatgeory', as the published code does.
    """
    if question.name is None:
        return (
            f"Is '{question.word}' a proper noun, like the name of a city, country, mountain, river, or any unique "
            f"place or entity?"
        )

    subcategory = "subcatgeory" if misspelt else "subcategory"
    return f"Is '{question.word}' a {subcategory} of '{question.name}'?"


def yes_or_no(reply: str) -> bool | None:
    """Whether a reply begins with yes or with no, behind its thoughts; None if with neither, or with both.

    Example:
        >>> yes_or_no(" Yes, it is."), yes_or_no("**no**"), yes_or_no("Nobody knows."), yes_or_no("No-one can tell.")
        (True, False, None, None)
        >>> yes_or_no("<think>No, wait.</think> Answer: Yes"), yes_or_no("<think>Yes, since"), yes_or_no("Yes/No")
        (True, None, None)
    """
    match = _ANSWER.match(said_in(reply))
    return None if match is None else match[1].lower() == "yes"


def said_in(reply: str) -> str:
    """What a person is shown of a reply: what it says behind a model's thoughts, or those alone where nothing follows.

    Example:
        >>> said_in("A dog? </think> No"), said_in("<think>Oslo is")
        ('No', '<think>Oslo is')
    """
    return after_thoughts(reply) or reply.strip()
