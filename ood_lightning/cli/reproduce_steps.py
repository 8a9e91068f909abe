"""What `reproduce` does with an item's steps: print, run or submit what is missing, then write the result."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from ood_lightning.cli.loggers import viewer
from ood_lightning.errors import SettingsError, UserError
from ood_lightning.experiments.records import PlannedLine
from ood_lightning.experiments.settings import Files
from ood_lightning.plurals import many
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Item, Kind
from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.plan import STEPS, Run, planned, runs_of, waves

FAILED = 1
PIPELINES = "pipelines"  # files of lines that were submitted
SCRIPTS = "OOD_SLURM_SCRIPTS"  # a variable: where the job scripts lie


class Order(NamedTuple):
    """An item to be reproduced.

    Attributes:
        name: of the item.
        item: itself.
        kind: full, or a twin.
        out: the folder of all items.
        runs: its steps.
        lines: what of them is finished.
    """

    name: str
    item: Item
    kind: Kind
    out: Path
    runs: list[Run]
    lines: list[PlannedLine]

    @classmethod
    def of(cls, name: str, kind: Kind, out: Path) -> Order:
        """Read the item, and look for what is finished."""
        item = read_item(name)
        runs = runs_of(item.work(kind), out / STEPS, name)
        return cls(name, item, kind, out, runs, planned(runs, out / STEPS))

    @property
    def steps(self) -> Path:
        """The folder of steps."""
        return self.out / STEPS

    def again(self) -> Order:
        """The same order, what is finished looked up anew."""
        return self._replace(lines=planned(self.runs, self.steps))


def print_plan(order: Order) -> int:
    """Print all steps as commands, in order, each with what is known of it; returns the exit status."""
    shared = _shared(order)
    by_name = {line.line.name: line for line in order.lines}
    n_finished = sum(not line.to_run for line in order.lines)
    sys.stdout.write(f"# {order.name}, {order.kind}: {order.item.title}\n")
    sys.stdout.write(f"# {many(len(order.lines), 'step')}, {n_finished} finished; results in {order.out}\n")

    printed: set[str] = set()
    for run in order.runs:
        if run.line.name in printed:
            continue
        printed.add(run.line.name)
        values = "".join(f", {key} {value}" for key, value in run.where.items())
        remarks = ["" if by_name[run.line.name].to_run else "finished", _also(shared.get(run.line.name, []))]
        remarks += [f"reads {', '.join(run.after)}" if run.after else ""]
        sys.stdout.write(f"\n# {run.step}{values}: {'; '.join(filter(None, remarks)) or 'to run'}\n")
        sys.stdout.write(f"{_shown(order, by_name[run.line.name])}\n")
    return 0


def _shown(order: Order, line: PlannedLine) -> str:
    from ood_lightning.experiments.processes import command_of

    step = line.steps[0]
    return f"python -m ood_lightning {shlex.join(command_of(line, step, order.steps, step.step.command).words)}"


def _also(names: Sequence[str]) -> str:
    return f"also a step of {', '.join(names)}" if names else ""


def _shared(order: Order) -> dict[str, list[str]]:
    """Other shipped items by the names of lines that they need too."""
    files, shared = Files(), dict[str, list[str]]()
    names_here = {line.line.name for line in order.lines}
    for name in item_names():
        if name == order.name:
            continue
        try:
            runs = runs_of(read_item(name).work(order.kind), order.steps, name, files)
        except UserError:
            continue  # its own command says what is wrong with it
        for line in dict.fromkeys(run.line.name for run in runs if run.line.name in names_here):
            shared.setdefault(line, []).append(name)
    return shared


def run(order: Order, jobs: int) -> int:
    """Run what is missing on this machine, then write and print the result; returns the exit status."""
    from ood_lightning.cli.sweep import check_commands, print_failure
    from ood_lightning.data.artifacts.files import sole_writer
    from ood_lightning.experiments.processes import command_of, run_lines, shared_cores

    to_run = [line for line in order.lines if line.to_run]
    sys.stdout.write(
        f"{order.name}, {order.kind}: {many(len(order.lines), 'step')}, {len(to_run)} to run in {order.steps}\n"
    )
    check_commands(to_run, order.steps, Path(order.name))

    if not to_run:
        return _finish(order, frozenset())

    failed: set[str] = set()
    with sole_writer(order.steps):
        for wave in waves(order.runs, order.lines):
            ready = [line for line in wave if not failed & _read_by(order, line)]
            failed |= {line.line.name for line in wave if line not in ready}
            cores = shared_cores(min(jobs, len(ready)) or 1)
            commands = [
                (
                    line.line.name,
                    [(step, command_of(line, step, order.steps, step.step.command)._replace(environment=cores))],
                )
                for line in ready
                for step in line.to_run
            ]
            failures = run_lines(commands, jobs)
            failed |= {failure.name for failure in failures}
            for failure in failures:
                print_failure(failure)
    return _finish(order.again(), frozenset(failed))


def _read_by(order: Order, line: PlannedLine) -> set[str]:
    return {name for run in order.runs if run.line.name == line.line.name for name in run.after}


def _finish(order: Order, failed: frozenset[str]) -> int:
    """Write and print the result; returns the exit status."""
    from ood_lightning.reproduction.entries import Steps
    from ood_lightning.reproduction.result import counted, write

    folder, numbers = write(order.name, order.item, order.kind, Steps(order.runs, order.steps, failed), order.out)
    _log(order, folder, numbers)
    sys.stdout.write(f"\n{(folder / 'result.md').read_text(encoding='utf-8')}\n")
    sys.stdout.write(f"{counted(numbers)}: {folder}\n")
    if failed:
        sys.stdout.write(f"{many(len(failed), 'step')} failed, or read one that did; the same command repeats them\n")
        return FAILED
    return 0


def _log(order: Order, folder: Path, numbers: Sequence[Entry]) -> None:
    """Show the numbers, the figure, and the record with what it was made from."""
    view = viewer(folder, command="reproduce", item=order.name, kind=order.kind)
    if view is None:
        return
    from PIL import Image

    from ood_lightning.callbacks.wandb import log_file, log_picture, log_table
    from ood_lightning.reproduction import record
    from ood_lightning.reproduction.figures import pixels
    from ood_lightning.reproduction.tables import CSV_COLUMNS, lines

    log_table(view, "reproduce/numbers", CSV_COLUMNS, lines(numbers))
    if (figure := pixels(order.item, numbers, order.kind)) is not None:
        log_picture(view, Image.open(BytesIO(figure)), "reproduce/figure")
    made = record.read(folder)
    log_file(view, folder / record.FILE, folder.name, "reproduction", {**made.encoders, **made.sets})


def submit(order: Order, site: Path) -> int:
    """Submit what is missing by `pipeline.sh`, each stage after the one that it reads; returns the exit status."""
    from ood_lightning.cli.sweep import check_commands
    from ood_lightning.data.artifacts.files import atomic_write

    to_run = [line for line in order.lines if line.to_run]
    if not to_run:
        return _finish(order, frozenset())
    check_commands(to_run, order.steps, Path(order.name))
    script = Path(os.environ.get(SCRIPTS, "scripts/slurm")) / "pipeline.sh"
    if not script.is_file():
        raise SettingsError(f"there is no {script}: submit from the project's folder, or set {SCRIPTS}")

    lines = [
        f"{line.line.name}: {shlex.join([step.step.command, *step.step.words])}"
        for wave in waves(order.runs, order.lines)
        for line in sorted(wave, key=_command)  # neighbours of one command are one array
        for step in line.to_run
    ]
    file = order.out / PIPELINES / f"{order.name.replace(':', '-').replace('/', '-')}-{order.kind}.txt"
    atomic_write(file, ("\n".join(lines) + "\n").encode())

    submitted = subprocess.run([str(script), str(site), str(file), str(order.steps)])
    if submitted.returncode == 0:
        sys.stdout.write(f"when the jobs have ended, the same command writes the result in {order.out}\n")
    return submitted.returncode


def _command(line: PlannedLine) -> str:
    return line.steps[0].step.command
