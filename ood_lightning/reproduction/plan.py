"""The steps of an item as commands in order, and what of them is finished or shared. Needs no torch.

A step's folder has the hash of its settings in its name, so that two items that need the same fit have one.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import NamedTuple

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.grid import named_values
from ood_lightning.experiments.lines import COMMANDS, Line, Step, put_in, split
from ood_lightning.experiments.records import PlannedLine, PlannedStep, read_record
from ood_lightning.experiments.settings import Files, settings_hashes
from ood_lightning.reproduction.item import Work

STEPS = "steps"  # below the folder of all items


class Run(NamedTuple):
    """One command of an item.

    Attributes:
        step: its name in the item.
        where: the values of the settings that it depends on, by the names that the grid gives them.
        line: the command, folders and values put in; its name is that of its folder.
        after: names of the lines that it reads.
    """

    step: str
    where: Mapping[str, str]
    line: Line
    after: tuple[str, ...]


def runs_of(work: Work, out: Path, source: str, files: Files | None = None) -> list[Run]:
    """All commands of an item, each behind those that it reads.

    Args:
        work: full or twin.
        out: the folder of steps.
        source: the item, for errors.
        files: what was read of files for hashes before, to read none twice.

    Raises:
        SettingsError: a step names what is not there, or no command of a sweep.
    """
    files = files or Files()
    values = {key: named_values(key, of_key, Path(source)) for key, of_key in work.grid.items()}
    if both := work.steps.keys() & values.keys():
        raise SettingsError(f"{source}: {min(both)!r} is a step, and cannot be a setting too: rename it")

    runs: list[Run] = []
    for name, text in work.steps.items():
        words = split(text, f"{source}, {name}")
        if not words or words[0] not in COMMANDS:
            raise SettingsError(f"{source}, {name} begins with {words[:1]}: expected one of {', '.join(COMMANDS)}")
        earlier = [step for step in _steps_before(work, name, source) if _names(words, step)]
        of_earlier = [[run for run in runs if run.step == step] for step in earlier]
        runs += _expanded(name, words, values, of_earlier, out, files)

    if unused := [key for key in values if not any(key in run.where for run in runs)]:
        raise SettingsError(f"{source}: no step names {{{unused[0]}}}: write it where its values go")
    return runs


def _steps_before(work: Work, name: str, source: str) -> list[str]:
    """The steps that a step may read; refuses one that names a later one."""
    steps = list(work.steps)
    index = steps.index(name)
    if later := [step for step in steps[index + 1 :] if _names([work.steps[name]], step)]:
        raise SettingsError(f"{source}, {name} names {{{later[0]}}}, which runs after it")
    return steps[:index]


def _names(words: Sequence[str], name: str) -> bool:
    return any(f"{{{name}}}" in word for word in words)


def _expanded(
    name: str,
    words: Sequence[str],
    values: Mapping[str, Mapping[str, str]],
    earlier: Sequence[Sequence[Run]],
    out: Path,
    files: Files,
) -> list[Run]:
    """A step's commands, one for each combination of the values that it depends on."""
    named_here = {key for key in values if _names(words, key)}
    settings = [
        key for key in values if key in named_here or any(key in run.where for of_step in earlier for run in of_step)
    ]

    runs = []
    for combination in product(*(values[key] for key in settings)):
        where = dict(zip(settings, combination, strict=True))
        texts = {key: values[key][where[key]] for key in settings}
        read = [next(run for run in of_step if run.where.items() <= where.items()) for of_step in earlier]

        # hashed with the names of folders, which are hashes themselves, so that everything may lie anywhere
        named = [put_in(word, texts | {run.step: run.line.name for run in read}) for word in words]
        step = Step(named[0], tuple(named[1:]))
        content = json.dumps([step.command, step.words, files.of_step(step)])
        line = f"{step.command}-{sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"

        folders = {run.step: str(out / run.line.name) for run in read} | {name: str(out / line)}
        placed = tuple(put_in(word, texts | folders) for word in words[1:])
        runs.append(
            Run(name, where, Line(line, (Step(step.command, placed),), {}), tuple(run.line.name for run in read))
        )
    return runs


def planned(runs: Sequence[Run], out: Path) -> list[PlannedLine]:
    """What of an item's commands is finished; one that reads what is to be run again runs again too.

    Args:
        runs: of :func:`runs_of`; one that comes twice is planned once.
        out: the folder of steps.
    """
    lines: dict[str, PlannedLine] = {}
    for run in runs:
        if run.line.name in lines:
            continue
        folder = run.line.folder(out, run.line.steps[0])
        step = PlannedStep(run.line.steps[0], folder, settings_hashes(run.line)[0])
        is_finished = is_done(folder) and not any(lines[name].to_run for name in run.after)
        lines[run.line.name] = PlannedLine(len(lines), run.line, [step], [] if is_finished else [step])
    return list(lines.values())


def is_done(folder: Path) -> bool:
    """Whether a step is finished; the settings need no look, since the folder's name is their hash."""
    record = read_record(folder)
    return record is not None and record.finished


def waves(runs: Sequence[Run], lines: Sequence[PlannedLine]) -> list[list[PlannedLine]]:
    """The lines that are to run, in waves: each reads what earlier waves wrote, and nothing of its own.

    Args:
        runs: of the item.
        lines: of :func:`planned`.
    """
    after = {run.line.name: run.after for run in runs}
    depth: dict[str, int] = {}
    for line in lines:
        if line.to_run:
            depth[line.line.name] = 1 + max((depth.get(name, -1) for name in after[line.line.name]), default=-1)
    return [
        [line for line in lines if depth.get(line.line.name) == n] for n in range(1 + max(depth.values(), default=-1))
    ]
