"""Decisions on disk: one JSON line each, appended as they are made, so that a restart repeats none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ood_lightning.filtering.judges.base import Answer, JudgeError, Question


class Decisions:
    """A file of decisions by any number of judges.

    A line that a killed run left unfinished at the end is cut off before the next one is appended.

    Args:
        path: of the file; it need not exist.

    Raises:
        JudgeError: if a finished line is no decision.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[Question, Answer]] = {}  # by the judge's identity
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise JudgeError(f"{path} cannot be read: {error.strerror}") from error
        self._whole = content.rfind(b"\n") + 1  # bytes of finished lines
        self._torn = self._whole < len(content)
        for at, line in enumerate(content[: self._whole].splitlines(), start=1):
            try:
                entry = json.loads(line)
                question, judge = Question(entry.pop("word"), entry.pop("name", None)), entry.pop("judge")
                self.known.setdefault(judge, {})[question] = Answer(**entry)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise JudgeError(
                    f"{path}, line {at}: {line[:60]!r} is no decision ({error}). Delete the line; its question is then "
                    f"asked again."
                ) from error

    def add(self, judge: str, decided: Iterable[tuple[Question, Answer]]) -> None:
        """Append decisions; they are on disk when this returns."""
        decided = list(decided)
        lines = [json.dumps(_entry(judge, question, answer), ensure_ascii=False) + "\n" for question, answer in decided]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._torn:
            with self.path.open("r+b") as file:
                file.truncate(self._whole)
            self._torn = False
        with self.path.open("ab") as file:
            file.write("".join(lines).encode())
        self.known.setdefault(judge, {}).update(decided)


def _entry(judge: str, question: Question, answer: Answer) -> dict[str, object]:
    filled = {key: value for key, value in answer._asdict().items() if value not in (None, "", 0) or key == "yes"}
    return {"judge": judge, "word": question.word, "name": question.name, **filled}
