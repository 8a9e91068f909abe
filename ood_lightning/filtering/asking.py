"""Questions put to a judge: answers are reused, kept on disk, and counted with what they cost."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal

from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question
from ood_lightning.progress import bar

N_REPORTED = 3  # unclear answers that an error quotes


class JudgeSession:
    """One judge and all the answers it has given in this run.

    Args:
        judge: that answers.
        decisions: file in which the answers of a `remembered` judge are kept; None keeps none.
        unclear: see :class:`ood_lightning.filtering.rules.Rules`.

    Attributes:
        answers: all given so far, in the order of the questions; a question asked twice has one entry.
    """

    def __init__(self, judge: Judge, decisions: Decisions | None, unclear: Literal["stop", "no"] = "stop") -> None:
        self.judge = judge
        self.unclear = unclear
        self.decisions = decisions if judge.remembered else None
        self.answers: dict[Question, Answer] = {}
        self._n_recalled = 0
        self._seconds = 0.0
        self._tokens = 0

    def __call__(self, questions: Sequence[Question]) -> list[bool]:
        """Yes or no to each question; only questions without a kept decision are put to the judge.

        Raises:
            JudgeError: the judge cannot go on, or says neither yes nor no; finished answers are kept.
        """
        known = self.decisions.known.get(self.judge.identity, {}) if self.decisions else {}
        answers = {question: known[question] for question in questions if question in known}
        self._n_recalled += len(answers)

        new_questions = [question for question in dict.fromkeys(questions) if question not in answers]
        new_answers = self._ask(new_questions) if new_questions else {}
        unclear = {question: answer for question, answer in new_answers.items() if answer.yes is None}
        if unclear and self.unclear == "stop":
            raise JudgeError(
                f"{self.judge.identity} said neither yes nor no to {len(unclear)} of {len(new_questions)} questions "
                f"({_quoted(unclear)}). The other answers are kept. Take another model or mode, more max_tokens "
                f"for one that was still thinking, or `unclear: no` to count these as no."
            )

        answers |= new_answers
        self.answers |= {question: answers[question] for question in questions}
        return [bool(answers[question].yes) for question in questions]

    def _ask(self, questions: Sequence[Question]) -> dict[Question, Answer]:
        """The judge's answers to distinct questions of one kind; each batch is on disk before the next one begins."""
        answers: dict[Question, Answer] = {}
        subject = "proper nouns" if questions[0].name is None else "subcategories"
        start = perf_counter()
        with bar(len(questions), f"ask for {subject}", "question") as progress_bar:
            for batch in self.judge.answer(questions):
                decided = {questions[row]: answer for row, answer in batch}
                answers |= decided
                self._tokens += sum(answer.tokens for answer in decided.values())

                if self.decisions:
                    clear = [(question, answer) for question, answer in decided.items() if answer.yes is not None]
                    self.decisions.add(self.judge.identity, clear)
                progress_bar.update(len(batch))

        self._seconds += perf_counter() - start
        return answers

    def cost(self) -> dict[str, Any]:
        """Questions, seconds, tokens where known, and the mean probability of yes and no where it was read."""
        cost: dict[str, Any] = {
            "judge": self.judge.identity,
            "questions": len(self.answers),
            "recalled": self._n_recalled,
            "seconds": round(self._seconds, 3),
        }
        if self._tokens:
            cost["tokens"] = self._tokens

        masses = [answer.mass for answer in self.answers.values() if answer.mass is not None]
        if masses:
            cost["mean_mass_on_yes_and_no"] = round(sum(masses) / len(masses), 4)

        return cost


def _quoted(answers: dict[Question, Answer]) -> str:
    """The first few questions with their answers, for a sentence."""
    first = list(answers.items())[:N_REPORTED]
    return "; ".join(
        f"on {' and '.join(repr(text) for text in question if text)}: {answer.said[:60]!r}"
        for question, answer in first
    )


def agreement(first: dict[Question, Answer], second: dict[Question, Answer]) -> list[dict[str, Any]]:
    """How a second judge's answers fit a first one's, for each kind of question; the first one is taken as the truth.

    Args:
        first: answers of one judge.
        second: answers of another judge to these questions; it may hold more.

    Returns:
        One row for each kind of question: counts of both yes, only one yes, both no; `agreement`, and `precision` and
        `recall` of the second judge's yes, in [0, 1] (None where nothing can be divided).
    """
    pairs = {question: (bool(answer.yes), bool(second[question].yes)) for question, answer in first.items()}
    return [
        _agreement_row("proper noun", [pair for question, pair in pairs.items() if question.name is None]),
        _agreement_row("subcategory", [pair for question, pair in pairs.items() if question.name is not None]),
    ]


def _agreement_row(kind: str, pairs: list[tuple[bool, bool]]) -> dict[str, Any]:
    """Counts and shares of one kind of question; a pair is whether the first and the second judge said yes."""
    both_yes = pairs.count((True, True))
    first_only = pairs.count((True, False))
    second_only = pairs.count((False, True))
    both_no = pairs.count((False, False))

    return {
        "question": kind,
        "asked": len(pairs),
        "both_yes": both_yes,
        "only_first_yes": first_only,
        "only_second_yes": second_only,
        "both_no": both_no,
        "agreement": _share(both_yes + both_no, len(pairs)),
        "precision": _share(both_yes, both_yes + second_only),
        "recall": _share(both_yes, both_yes + first_only),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
