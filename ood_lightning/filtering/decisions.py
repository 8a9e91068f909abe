"""Decisions on disk: one JSON line each, appended as they are made, so that a restarted run asks no question again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.data.rows.appended_lines import AppendedLines
from ood_lightning.filtering.judges.base import Answer, JudgeError, Question


@dataclass(frozen=True, kw_only=True)
class _Line(Answer):
    """One line of the file: a judge's answer to a question. What the judge did not give is left out."""

    __pydantic_config__: ClassVar = STRICT
    yes: bool
    judge: str
    word: str
    name: str | None = None


class Decisions:
    """A file of decisions by any number of judges; see :class:`AppendedLines`.

    Args:
        path: of the file; it need not exist.

    Attributes:
        known: answers by question, for each judge's identity.

    Raises:
        JudgeError: the file cannot be read, or a finished line is no decision.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[Question, Answer]] = {}

        self._file = AppendedLines(path, JudgeError)
        for number, line in enumerate(self._file.lines, start=1):
            try:
                decision = decode_json(line, _Line, f"{path}, line {number}", JudgeError)
            except JudgeError as error:
                raise JudgeError(f"{error}. Delete the line; its question is then asked again.") from None

            answer = Answer(decision.yes, decision.said, decision.margin, decision.mass, decision.tokens)
            self.known.setdefault(decision.judge, {})[Question(decision.word, decision.name)] = answer

    def add(self, judge: str, decided: Sequence[tuple[Question, Answer]]) -> None:
        """Append decisions; they are on disk when this returns.

        Args:
            judge: the judge's identity.
            decided: questions with answers of yes or no.
        """
        self._file.add(
            [json.dumps(_entry(judge, question, answer), ensure_ascii=False) for question, answer in decided]
        )
        self.known.setdefault(judge, {}).update(decided)


def _entry(judge: str, question: Question, answer: Answer) -> dict[str, object]:
    """A decision as a JSON object, without the fields that the judge did not give."""
    filled = {key: value for key, value in vars(answer).items() if value not in (None, "", 0) or key == "yes"}
    return {"judge": judge, "word": question.word, "name": question.name, **filled}
