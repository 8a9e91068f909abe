"""What is said of all images of a `predict` at its end: counts, and those that are most foreign."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from ood_lightning.data.artifacts.typed import STRICT, Count, decode_plain
from ood_lightning.detector_folder.detector import Detector, Result
from ood_lightning.errors import SettingsError
from ood_lightning.report.console import console, table

SHOWN = 10  # images in the table, and of those that cannot be read


@dataclass(frozen=True)
class Shown:
    """An image of the table; its texts are as a terminal shows them."""

    __pydantic_config__: ClassVar = STRICT

    score: float
    path: str
    p_value: float | None
    accepted: bool | None
    concepts: tuple[str, ...]
    nearest_negative: str


@dataclass
class Summary:
    """Counts so far, in constant memory.

    Args:
        images: all.
        unread: those that could not be read.
        rejected: those that were.
        foreign: those with the lowest scores, the lowest first.
        errors: path and reason of the first that could not be read.
    """

    __pydantic_config__: ClassVar = STRICT

    images: Count = 0
    unread: Count = 0
    rejected: Count = 0
    foreign: tuple[Shown, ...] = ()
    errors: tuple[tuple[str, str], ...] = field(default=())

    def add(self, results: Sequence[Result]) -> None:
        """Count the images of a batch."""
        self.images += len(results)
        unread = [result for result in results if result.error]
        self.unread += len(unread)
        self.rejected += sum(result.accepted is False for result in results)

        room = SHOWN - len(self.errors)
        self.errors += tuple((_shown(str(one.path)), _shown(one.error)) for one in unread[:room])
        lowest = self.foreign[-1].score if len(self.foreign) == SHOWN else float("inf")
        new = [_row(result) for result in results if result.score is not None and result.score < lowest]
        self.foreign = tuple(sorted([*self.foreign, *new], key=lambda row: row.score)[:SHOWN])

    @property
    def first_error(self) -> str:
        """Of the first image that could not be read."""
        return self.errors[0][1] if self.errors else ""

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> Self:
        """The inverse of :meth:`plain`."""
        return decode_plain(state, cls, "the journal of the rows, state", SettingsError)

    def say(self, detector: Detector, target: Path | None, passed_over: Counter[str], *, to_output: bool) -> None:
        """Print it.

        Args:
            detector: that scored.
            target: file of the rows; None where there is none.
            passed_over: endings of files in the folders that are no pictures.
            to_output: print to standard output, with the table; else some lines to standard error.
        """
        stream = sys.stdout if to_output else sys.stderr
        if to_output and self.foreign:
            console().print(self._table())
        for path, error in self.errors:
            print(f"{path}: {error}", file=stream)
        if self.unread > len(self.errors):
            print(f"... and {self.unread - len(self.errors):,} more that could not be read", file=stream)
        if passed_over:
            others = ", ".join(f"{n} {ending}" for ending, n in sorted(passed_over.items()))
            print(f"no pictures by name: {others}", file=stream)

        for line in () if detector.calibration is None else detector.calibration.statements():
            print(line, file=stream)
        print(self._counts(detector), file=stream)
        if target is not None:
            print(f"{self.images:,} rows: {target}", file=stream)

    def _counts(self, detector: Detector) -> str:
        scored = self.images - self.unread
        if detector.threshold is None:
            decided = f"{scored:,} scored, none accepted or rejected, since the detector is not calibrated"
        else:
            decided = f"{scored - self.rejected:,} accepted (score of {detector.threshold:.6g} or more), "
            decided += f"{self.rejected:,} rejected"
        return f"{self.images:,} images: {decided}" + (f", {self.unread:,} could not be read" if self.unread else "")

    def _table(self) -> Any:
        n_scored = self.images - self.unread
        title = "higher score = more in-distribution"
        if n_scored > len(self.foreign):
            title = f"the {len(self.foreign)} most foreign of {n_scored:,} ({title})"
        columns = ("picture", "score", "p-value", "accepted", "nearest concepts", "nearest negative")

        rows = [
            [
                one.path,
                f"{one.score:.3f}",
                "" if one.p_value is None else f"{one.p_value:.3f}",
                {True: "yes", False: "no", None: ""}[one.accepted],
                ", ".join(one.concepts),
                one.nearest_negative,
            ]
            for one in self.foreign
        ]
        return table(title, columns, rows)


def _row(result: Result) -> Shown:
    assert result.score is not None
    words = tuple(map(_shown, result.concepts))
    return Shown(
        result.score,
        _shown(str(result.path)),
        result.p_value,
        result.accepted,
        words,
        _shown(result.nearest_negative),
    )


def _shown(text: str) -> str:
    """A text that UTF-8 can hold, so that the journal can."""
    return text.encode("utf-8", "backslashreplace").decode()
