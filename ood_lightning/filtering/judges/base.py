"""What a judge looks like from outside. Imports no torch, so that commands can name judges without loading it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from ood_lightning.errors import UserError


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


class Answer(NamedTuple):
    """What a judge said.

    Attributes:
        yes: None where it said neither yes nor no.
        said: the words, where there were any.
        margin: logit of yes minus logit of no, in nats, where it was read.
        mass: probability of yes and no together, where it was read.
        tokens: read and written, where known.
    """

    yes: bool | None
    said: str = ""
    margin: float | None = None
    mass: float | None = None
    tokens: int = 0


class Judge(ABC):
    """Answers questions with yes or no. A config names a subclass by its class path; there is no other registry."""

    llm: ClassVar[bool]  # whether a label set that it made was given a language model's knowledge
    remembered: ClassVar[bool]  # whether its answers cost enough to be kept on disk

    @property
    @abstractmethod
    def identity(self) -> str:
        """Everything that can change an answer, as one line."""

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Answer every question once.

        Args:
            questions: distinct.

        Yields:
            Answers with the question's index, as soon as they are there, in any order.

        Raises:
            JudgeError: says what to do; what was yielded before stays valid.
        """


SYSTEM_MESSAGE = "You are a helpful assistant. Answering only Yes/No."
PROPER_NOUN = (
    "Is '{word}' a proper noun, like the name of a city, country, mountain, river, or any unique place or entity?"
)
SUBCATEGORY = "Is '{word}' a subcategory of '{name}'?"
SUBCATEGORY_MISSPELT = "Is '{word}' a subcatgeory of '{name}'?"


def wording(question: Question, misspelt: bool) -> str:
    """The question as NegRefine puts it to a language model.

    Args:
        question: about a word.
        misspelt: 'subcatgeory', as the published code has it.
    """
    if question.name is None:
        return PROPER_NOUN.format(word=question.word)
    return (SUBCATEGORY_MISSPELT if misspelt else SUBCATEGORY).format(word=question.word, name=question.name)


def yes_or_no(reply: str) -> bool | None:
    """What a reply begins with; None if neither.

    >>> yes_or_no(" Yes, it is."), yes_or_no("**no**"), yes_or_no("Nobody knows.")
    (True, False, None)
    """
    found = re.match(r"\W*(yes|no)\b", reply, re.IGNORECASE)
    return None if found is None else found[1].lower() == "yes"
