"""What is known of a step's run: `sweep.json` in its folder, and which steps are finished."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.errors import SourceError
from ood_lightning.experiments.lines import Line, Step
from ood_lightning.experiments.settings import settings_hashes

FILE = "sweep.json"
LOG = "sweep.log"  # what a step printed
Format = Literal["ood_lightning/sweep/1"]
FORMAT: Format = "ood_lightning/sweep/1"
CHECKPOINT = "last.ckpt"  # of a fit


@dataclass(frozen=True)
class Record:
    """A step that was begun.

    Args:
        settings: the hash of its settings.
        finished: it ended, and all that it writes is there.
        words: the command and its arguments.
        seconds: that it took, in its last run; None where it is not finished.
    """

    __pydantic_config__: ClassVar = STRICT

    settings: str
    finished: bool
    words: list[str]
    seconds: float | None = None
    format: Format = FORMAT

    def write(self, folder: Path) -> None:
        """Write it into the step's folder."""
        write_json(folder / FILE, asdict(self), escaped=True)


def read_record(folder: Path) -> Record | None:
    """The record in a step's folder; None if none was begun there, or nothing can be read from it."""
    try:
        return decode_json((folder / FILE).read_bytes(), Record, str(folder / FILE), SourceError)
    except (OSError, SourceError):
        return None


def begin(folder: Path, settings: str, words: list[str]) -> None:
    """Note that a step is begun; a checkpoint of other settings, with which a fit would not go on, is removed.

    Only where a sweep made the folder: another's checkpoint stays, and the fit refuses it.
    """
    before = read_record(folder)
    if before is not None and before.settings != settings:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    Record(settings, False, words).write(folder)


class PlannedStep(NamedTuple):
    """A step, where it writes, and the hash of its settings."""

    step: Step
    folder: Path
    settings: str


class PlannedLine(NamedTuple):
    """A line with what is known of its steps.

    Attributes:
        number: its place in the sweep, from 0.
        line: the line.
        steps: all of them.
        to_run: those that are not finished, and those after them.
    """

    number: int
    line: Line
    steps: list[PlannedStep]
    to_run: list[PlannedStep]


def plan(lines: Sequence[Line], out: Path) -> list[PlannedLine]:
    """What of a sweep is finished, and what is to be run.

    Args:
        lines: of the sweep.
        out: the sweep's folder.
    """
    planned = []
    for number, line in enumerate(lines):
        steps = [
            PlannedStep(step, line.folder(out, step), settings)
            for step, settings in zip(line.steps, settings_hashes(line), strict=True)
        ]
        finished = [_is_finished(step) for step in steps]
        first = finished.index(False) if False in finished else len(steps)
        planned.append(PlannedLine(number, line, steps, steps[first:]))
    return planned


def _is_finished(step: PlannedStep) -> bool:
    record = read_record(step.folder)
    return record is not None and record.finished and record.settings == step.settings
