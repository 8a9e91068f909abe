"""Judges whose answers one can see."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question
from ood_lightning.filtering.rules import Verdict

BATCH = 3


class Oracle(Judge):
    """Says yes to given questions, lists all questions that it got, and fails after some.

    Args:
        yes: questions that it answers with yes.
        doubts: questions that it answers with neither yes nor no.
        dies_after: number of questions after which it fails.
    """

    llm: ClassVar[bool] = True
    remembered: ClassVar[bool] = True
    identity = "oracle"

    def __init__(self, yes: Sequence[Question], doubts: Sequence[Question] = (), dies_after: int = 10**9) -> None:
        self.yes = set(yes)
        self.doubts = set(doubts)
        self.dies_after = dies_after
        self.questions: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        for start in range(0, len(questions), BATCH):
            if len(self.questions) >= self.dies_after:
                raise JudgeError("the server is gone")

            rows = range(start, min(start + BATCH, len(questions)))
            self.questions += [questions[row] for row in rows]
            yield [(row, self._answer(questions[row])) for row in reversed(rows)]

    def _answer(self, question: Question) -> Answer:
        return Answer(None, said="Perhaps") if question in self.doubts else Answer(question in self.yes, tokens=2)


class Always(Oracle):
    """Gives the same answer to every question."""

    def __init__(self, yes: bool) -> None:
        super().__init__(())
        self.always = yes

    def _answer(self, question: Question) -> Answer:
        return Answer(self.always)


def verdicts(*words: str) -> list[Verdict]:
    """Words that cleaning left as they were."""
    return [Verdict(word, word, "kept") for word in words]
