"""Decisions on disk: one JSON line each, appended as they are made, so that a restarted run asks no question again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ood_lightning.data.artifacts.typed import STRICT, decode_json
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
    """A file of decisions by any number of judges.

    A run that is killed while it writes leaves an unfinished line at the end; it is cut off before the next decision
    is appended.

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

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise JudgeError(f"{path} cannot be read: {error.strerror}") from error

        self._finished_bytes = content.rfind(b"\n") + 1
        self._has_unfinished_line = self._finished_bytes < len(content)

        # bytes that are no UTF-8 become lone surrogates, which the decoder refuses by the line's number
        text = content[: self._finished_bytes].decode(errors="surrogateescape").removeprefix("\ufeff")
        for number, line in enumerate(text.split("\n")[:-1], start=1):
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
        lines = [json.dumps(_entry(judge, question, answer), ensure_ascii=False) for question, answer in decided]

        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._has_unfinished_line:
            with self.path.open("r+b") as file:
                file.truncate(self._finished_bytes)
            self._has_unfinished_line = False

        with self.path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        self.known.setdefault(judge, {}).update(decided)


def _entry(judge: str, question: Question, answer: Answer) -> dict[str, object]:
    """A decision as a JSON object, without the fields that the judge did not give."""
    filled = {key: value for key, value in vars(answer).items() if value not in (None, "", 0) or key == "yes"}
    return {"judge": judge, "word": question.word, "name": question.name, **filled}
