"""A sweep as a pipeline: which of its lines wait for which, and which are to be submitted."""

from collections.abc import Sequence
from typing import NamedTuple

from ood_lightning.experiments.records import PlannedLine

SHARED = "embed"  # its tasks share one line; each further one is a stage of its own


class Stage(NamedTuple):
    """Lines that may run at the same time.

    Attributes:
        command: what each of them runs; `+` between several steps.
        numbers: of the lines, from 0.
    """

    command: str
    numbers: tuple[int, ...]


def stages(planned: Sequence[PlannedLine], commands: Sequence[str]) -> list[Stage]:
    """What is to be submitted, each stage after the one before.

    Lines that stand one after the other and run the same commands are one stage, unless one names another's folder. Of
    the stages up to the first one that is not finished, finished lines are left out; of those after it none, since what
    they read may change: a task whose line is finished nevertheless ends at once. Features that `embed` stores are
    those that the lines after it would store themselves, so that it makes nothing stale.

    Args:
        planned: all lines of the sweep.
        commands: what each line runs.
    """
    groups: list[tuple[str, list[PlannedLine]]] = []
    for command, line in zip(commands, planned, strict=True):
        if groups and groups[-1][0] == command != SHARED and not _reads(line, groups[-1][1]):
            groups[-1][1].append(line)
        else:
            groups.append((command, [line]))

    to_submit: list[Stage] = []
    stale = False
    for command, lines in groups:
        numbers = tuple(line.number for line in lines if line.to_run or (stale and command != SHARED))
        if numbers:
            to_submit.append(Stage(command, numbers))
            stale = stale or command != SHARED

    return to_submit


def _reads(line: PlannedLine, earlier: Sequence[PlannedLine]) -> bool:
    """Whether a line's arguments name the folder of another one."""
    folders = [str(step.folder) for other in earlier for step in other.steps]
    return any(folder in word for folder in folders for step in line.steps for word in step.step.words)
