"""ReplayJudge: decisions from a file, so that a finished run can be repeated exactly."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question

AT_ONCE = 4096  # questions between two moves of the progress bar
OUTCOMES = {"": False, "subcategory": True}


@dataclass(frozen=True)
class ReplayJudge(Judge):
    """Answers as some judge answered before.

    Args:
        files: `decisions.jsonl` of a run, or NegRefine's released `llm_decisions_*.txt[.gz]`.
        judge: whose decisions, where a file holds those of several; its identity, or the beginning of it.
    """

    llm: ClassVar[bool] = True  # nobody knows what else was asked
    remembered: ClassVar[bool] = False
    files: list[str]
    judge: str | None = None

    @cached_property
    def identity(self) -> str:
        """Hash of the decisions."""
        content = repr(sorted((word, name or "", yes) for (word, name), yes in self.decisions.items()))
        return f"replay of {len(self.decisions)} decisions, {hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """By look-up; a question that the files do not hold is an error."""
        missing = [question for question in questions if question not in self.decisions]
        if missing:
            word, name = missing[0]
            asked = "a proper noun" if name is None else f"a subcategory of {name!r}"
            raise JudgeError(
                f"{', '.join(self.files)}: no decision whether {word!r} is {asked}, nor on {len(missing) - 1} more of "
                f"{len(questions)} questions: the run was made with other words, names or encoder"
            )
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            yield [(start + i, Answer(self.decisions[question])) for i, question in enumerate(some)]

    @cached_property
    def decisions(self) -> dict[Question, bool]:
        """All decisions, in the order of the files."""
        found: dict[Question, bool] = {}
        for file in self.files:
            path = Path(file).expanduser()
            if not path.is_file():
                raise JudgeError(f"there is no file of decisions {path}")
            found |= self._of_run(path) if path.suffix == ".jsonl" else released(path)
        if not found:
            raise JudgeError(f"{', '.join(self.files)}: no decisions to repeat")
        return found

    def _of_run(self, path: Path) -> dict[Question, bool]:
        known = Decisions(path).known
        judges = [name for name in known if name.startswith(self.judge or "")]
        if len(judges) != 1:
            raise JudgeError(
                f"{path} holds decisions of {', '.join(map(repr, known)) or 'nobody'}: name one of them as `judge`"
            )
        return {question: bool(answer.yes) for question, answer in known[judges[0]].items()}


def released(path: Path) -> dict[Question, bool]:
    """Decisions in NegRefine's form: `word | proper noun`, `word | name | subcategory`, or `word | name |` for a no.

    Only a word that is no proper noun is compared with names, so a line with a name answers that question too. Runs of
    blanks, which the method's cleaning leaves where digits were, become one.

    Raises:
        JudgeError: naming a line of another form.
    """
    found: dict[Question, bool] = {}
    try:
        text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise JudgeError(f"{path} cannot be read: {error}") from error
    for at, line in enumerate(text.splitlines(), start=1):
        if line.startswith("---"):  # counts follow
            break
        match [" ".join(field.split()) for field in line.split("|")]:
            case [word, "proper noun"]:
                found[Question(word)] = True
            case [word, name, outcome] if outcome in OUTCOMES:
                found.setdefault(Question(word), False)
                found[Question(word, name)] = OUTCOMES[outcome]
            case [word, _, "the same"]:
                found.setdefault(Question(word), False)
            case _:
                raise JudgeError(f"{path}, line {at}: {line!r} is no decision: expected `word | name | outcome`")
    return found
