"""Questions put to a judge: what was answered before is not asked again, and what it all cost is counted."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal

from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question
from ood_lightning.progress import bar

SHOWN = 3  # unclear answers that an error names


class JudgeSession:
    """One judge's answers.

    Args:
        judge: whom to ask.
        decisions: where answers that cost something are kept; None keeps none.
        unclear: see :class:`ood_lightning.filtering.rules.Rules`.

    Attributes:
        answers: all given so far, in the order of the questions; a question asked twice has one entry.
    """

    def __init__(self, judge: Judge, decisions: Decisions | None, unclear: Literal["stop", "no"] = "stop") -> None:
        self.judge, self.unclear = judge, unclear
        self.decisions = decisions if judge.remembered else None
        self.answers: dict[Question, Answer] = {}
        self._recalled, self._seconds, self._tokens = 0, 0.0, 0

    def __call__(self, questions: Sequence[Question]) -> list[bool]:
        """Yes or no to each question.

        Raises:
            JudgeError: if the judge cannot go on, or says neither; finished answers are kept.
        """
        identity = self.judge.identity
        known = self.decisions.known.get(identity, {}) if self.decisions else {}
        found = {question: known[question] for question in questions if question in known}
        self._recalled += len(found)
        todo = [question for question in dict.fromkeys(questions) if question not in found]
        doubtful: dict[Question, Answer] = {}
        start = perf_counter()
        if todo:
            what = "proper nouns" if todo[0].name is None else "subcategories"
            with bar(len(todo), f"ask for {what}", "question") as progress_bar:
                for batch in self.judge.answer(todo):
                    decided = {todo[row]: answer for row, answer in batch}
                    self._tokens += sum(answer.tokens for answer in decided.values())
                    unclear = {question: answer for question, answer in decided.items() if answer.yes is None}
                    doubtful |= unclear
                    found |= decided
                    if self.decisions:
                        self.decisions.add(identity, ((q, a) for q, a in decided.items() if q not in unclear))
                    progress_bar.update(len(batch))
        self._seconds += perf_counter() - start
        if doubtful and self.unclear == "stop":
            some = "; ".join(
                f"on {word!r}" + (f" and {name!r}" if name else "") + f": {answer.said[:60]!r}"
                for (word, name), answer in list(doubtful.items())[:SHOWN]
            )
            raise JudgeError(
                f"{identity} said neither yes nor no to {len(doubtful)} of {len(todo)} questions ({some}). The other "
                f"answers are kept. Take another model or mode, or `unclear: no` to count these as no."
            )
        self.answers |= {question: found[question] for question in questions}
        return [bool(found[question].yes) for question in questions]

    def cost(self) -> dict[str, Any]:
        """Questions, seconds, tokens where known, and the mean probability of yes and no where it was read."""
        masses = [answer.mass for answer in self.answers.values() if answer.mass is not None]
        told: dict[str, Any] = {
            "judge": self.judge.identity,
            "questions": len(self.answers),
            "recalled": self._recalled,
            "seconds": round(self._seconds, 3),
        }
        if self._tokens:
            told["tokens"] = self._tokens
        if masses:
            told["mean_mass_on_yes_and_no"] = round(sum(masses) / len(masses), 4)
        return told


def agreement(first: dict[Question, Answer], second: dict[Question, Answer]) -> list[dict[str, Any]]:
    """How a second judge's answers fit a first one's, for each kind of question; the first one is taken as the truth.

    Args:
        first: answers of one judge.
        second: those of another to the same questions at least.

    Returns:
        A row a kind: counts of both yes, only one, both no; `agreement`, and `precision` and `recall` of the second's
        yes (None where they are not defined).
    """
    rows = []
    for kind in ("proper noun", "subcategory"):
        pairs = [
            (bool(answer.yes), bool(second[question].yes))
            for question, answer in first.items()
            if (question.name is None) == (kind == "proper noun")
        ]
        both, first_only, second_only = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True)))
        rows.append(
            {
                "question": kind,
                "asked": len(pairs),
                "both_yes": both,
                "only_first_yes": first_only,
                "only_second_yes": second_only,
                "both_no": len(pairs) - both - first_only - second_only,
                "agreement": _share(len(pairs) - first_only - second_only, len(pairs)),
                "precision": _share(both, both + second_only),
                "recall": _share(both, both + first_only),
            }
        )
    return rows


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
