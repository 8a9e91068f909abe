"""ReplayJudge: decisions from a file, so that a finished run can be repeated exactly."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question
from ood_lightning.places import expanded
from ood_lightning.text_files import lines_of


@dataclass(frozen=True)
class ReplayJudge(Judge):
    """Answers as some judge answered before.

    Args:
        files: `decisions.jsonl` of a run, or NegRefine's released `llm_decisions_*.txt[.gz]`.
        judge: whose decisions to take where a file holds those of several judges: its identity, or the beginning of it.
    """

    # `llm` stays true: the files do not say whether a language model made the decisions
    remembered: ClassVar[bool] = False
    files: list[str]
    judge: str | None = None

    @cached_property
    def identity(self) -> str:
        """Number and hash of the decisions."""
        content = repr(sorted((word, name or "", yes) for (word, name), yes in self.decisions.items()))
        return f"replay of {len(self.decisions)} decisions, {hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """By look-up; a question that the files do not hold is an error."""
        if missing := [question for question in questions if question not in self.decisions]:
            word, name = missing[0]
            predicate = "a proper noun" if name is None else f"a subcategory of {name!r}"
            raise JudgeError(
                f"{', '.join(self.files)}: no decision whether {word!r} is {predicate}, nor on {len(missing) - 1} more "
                f"of {len(questions)} questions: the run was made with other words, names or encoder"
            )

        for row, question in enumerate(questions):
            yield [(row, Answer(self.decisions[question]))]

    @cached_property
    def decisions(self) -> dict[Question, bool]:
        """All decisions, in the order of the files."""
        decisions: dict[Question, bool] = {}
        for file in self.files:
            path = expanded(file)
            if not path.is_file():
                raise JudgeError(f"there is no file of decisions {path}")
            decisions |= self._of_run(path) if path.suffix.lower() == ".jsonl" else read_released(path)

        if not decisions:
            raise JudgeError(f"{', '.join(self.files)}: no decisions to repeat")
        return decisions

    def _of_run(self, path: Path) -> dict[Question, bool]:
        known = Decisions(path).known
        judges = [identity for identity in known if identity.startswith(self.judge or "")]
        if len(judges) != 1:
            raise JudgeError(
                f"{path} holds decisions of {', '.join(map(repr, known)) or 'nobody'}: name one of them as `judge`"
            )

        return {question: bool(answer.yes) for question, answer in known[judges[0]].items()}


def read_released(path: Path) -> dict[Question, bool]:
    """Decisions in NegRefine's form: `word | proper noun`, `word | name | subcategory`, or `word | name |` for a no.

    Only a word that is no proper noun is compared with names, so a line with a name answers that question too. Runs of
    blanks, which the method's cleaning leaves where digits were, become one.

    Raises:
        JudgeError: the file cannot be read, or a line has another form; names the line and the field.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix.lower() == ".gz" else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise JudgeError(f"{path} cannot be read: {error}") from error

    decisions: dict[Question, bool] = {}
    for number, line in enumerate(lines_of(text), start=1):
        if line.startswith("---"):  # from here on the file holds counts
            break

        match [" ".join(field.split()) for field in line.split("|")]:
            case [word, "proper noun"]:
                decisions[Question(word)] = True
            case [word, name, "subcategory" | "" as outcome]:
                decisions.setdefault(Question(word), False)
                decisions[Question(word, name)] = outcome == "subcategory"
            case [word, _, "the same"]:  # no question was asked about this pair
                decisions.setdefault(Question(word), False)
            case [_, _, outcome]:
                raise JudgeError(
                    f"{path}, line {number}: outcome is {outcome!r}: expected 'subcategory', 'the same' or nothing"
                )
            case _:
                raise JudgeError(
                    f"{path}, line {number}: {line!r} is no decision: expected `word | name | outcome` or "
                    f"`word | proper noun`"
                )

    return decisions
