"""`sweep`, `sweep plot`, `sweep lines` and `sweep stages`: many runs of one file, and what they measured."""

from __future__ import annotations

import shlex
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.cli.config_files import check_files, with_shipped
from ood_lightning.errors import SettingsError, UserError, check_least
from ood_lightning.experiments.files import folder_of, one_file, read_sweep
from ood_lightning.experiments.lines import OWN_FOLDER
from ood_lightning.places import expanded
from ood_lightning.plurals import many

if TYPE_CHECKING:
    from ood_lightning.experiments.lines import Line, Step
    from ood_lightning.experiments.processes import Command, Failure
    from ood_lightning.experiments.records import PlannedLine, PlannedStep

FAILED = 1


def sweep(
    file: list[str],
    out: str | None = None,
    jobs: int = 1,
    slurm: str | None = None,
    print: bool = False,
    number: int | None = None,
) -> int:
    """Run what is not finished of many runs. Exit status 1: some failed and are listed; the same command repeats them.

    Args:
        file: lines `NAME: ARGUMENTS`, or a grid in YAML.
        out: the sweep's folder, with a folder for each line; `runs/sweeps/NAME` of the file's name if None.
        jobs: how many run at a time on this machine.
        slurm: a file with the site's variables, `NAME=VALUE`: submit as one array of Slurm.
        print: only print the commands.
        number: run this line alone, counted from 0: what a task of an array does.
    """
    from ood_lightning.experiments.records import plan

    check_least(1, jobs=jobs)
    path = one_file(file)
    folder = folder_of(path, out)
    lines = read_sweep(path)
    planned = plan(lines, folder)
    if number is not None:
        _check_number(number, lines, path)
        planned = [planned[number]]

    to_run = [line for line in planned if line.to_run]
    sys.stdout.write(f"{many(len(planned), 'line')} of {path}: {len(planned) - len(to_run)} finished in {folder}\n")
    if not to_run:
        return 0
    # of a task's one line no parser is asked: that would import torch, and the step's own is asked next
    names = check_commands(to_run, folder, path, parse=number is None)
    if print:
        _print(to_run, folder, names)
        return 0
    if slurm is not None:
        return _submit(path, folder, to_run, slurm)
    return _run_line(to_run[0], folder, names) if number is not None else _run_all(to_run, folder, names, jobs)


def _check_number(number: int, lines: list[Line], path: Path) -> None:
    if not 0 <= number < len(lines):
        raise SettingsError(f"{path} has {many(len(lines), 'line')}, 0 to {len(lines) - 1}: there is no line {number}")


def check_commands(planned: list[PlannedLine], out: Path, path: Path, *, parse: bool = True) -> dict[Step, str]:
    """The command of each step that is to run; one that its parser refuses ends the sweep before anything runs.

    All in this process: a process each would import torch each.

    Args:
        planned: lines.
        out: the sweep's folder.
        path: the sweep's file, for errors.
        parse: let the parsers read the arguments.

    Raises:
        SettingsError: a parser refuses a line; names it.
    """
    names = {}
    for line in planned:
        for step in line.to_run:
            try:
                words = with_shipped(line.line.words(out, step.step))
                names[step.step] = step.step.command or _command_of(words)
                if parse:
                    _parse(names[step.step], words)
            except UserError as error:
                raise SettingsError(f"{path}, {line.line.name}: {error}") from None
    return names


def _command_of(words: list[str]) -> str:
    from ood_lightning.cli.validate import command_of

    return command_of(words)


def _parse(command: str, words: list[str]) -> None:
    """Let a command's parser read its arguments, and nothing else."""
    from importlib import import_module

    from ood_lightning.cli.parser import parsed

    with redirect_stdout(StringIO()):
        try:
            if command in OWN_FOLDER:
                from ood_lightning.cli.trainer import run
                from ood_lightning.cli.trainer_keys import check_top_keys

                check_top_keys(command, words, check_files(words))
                run([command, *words, "--print_config"])
            else:
                function = getattr(import_module(f"ood_lightning.cli.{command}"), command)
                parsed(function, [*words, "--print_config"], command)
        except SystemExit:  # of --print_config
            return


def _steps_of(line: PlannedLine, out: Path, names: dict[Step, str]) -> list[tuple[PlannedStep, Command]]:
    """The steps of a line that are to run, with their commands."""
    from ood_lightning.experiments.processes import command_of

    return [(step, command_of(line, step, out, names[step.step])) for step in line.to_run]


def _print(planned: list[PlannedLine], out: Path, names: dict[Step, str]) -> None:
    for line in planned:
        for _, command in _steps_of(line, out, names):
            sys.stdout.write(f"python -m ood_lightning {shlex.join(command.words)}\n")


def _run_all(planned: list[PlannedLine], out: Path, names: dict[Step, str], jobs: int) -> int:
    """Run lines on this machine; returns the exit status."""
    from ood_lightning.data.artifacts.files import sole_writer
    from ood_lightning.experiments.processes import run_lines, shared_cores

    cores = shared_cores(min(jobs, len(planned)))
    lines = []
    for line in planned:
        steps = [(step, command._replace(environment=cores)) for step, command in _steps_of(line, out, names)]
        lines.append((line.line.name, steps))

    with sole_writer(out):
        failures = run_lines(lines, jobs)
    for failure in failures:
        print_failure(failure)
    if failures:
        n_lines = many(len(planned), "line")
        sys.stdout.write(f"\n{len(failures)} of {n_lines} failed; the same command repeats them alone\n")
        return FAILED
    sys.stdout.write(f"all lines are finished: {out}\n")
    return 0


def print_failure(failure: Failure) -> None:
    """A line that failed, and the end of what it printed."""
    from ood_lightning.experiments.processes import last_lines

    sys.stdout.write(f"\n{failure.name}: `{failure.command}` ended with {failure.status}; the end of {failure.log}:\n")
    for line in last_lines(failure.log):
        sys.stdout.write(f"    {line}\n")


def _run_line(line: PlannedLine, out: Path, names: dict[Step, str]) -> int:
    """Run one line, by `srun` within a job of Slurm; returns the exit status."""
    import os

    from ood_lightning.experiments.job_array import as_task, run_as_task

    steps = _steps_of(line, out, names)
    if in_job := "SLURM_JOB_ID" in os.environ:
        steps = [(step, as_task(command, step.folder, os.environ)) for step, command in steps]
    return run_as_task(steps, validate=in_job)


def _submit(path: Path, out: Path, planned: list[PlannedLine], slurm: str) -> int:
    """Submit lines as an array; returns the exit status."""
    from ood_lightning.experiments.job_array import read_site, submit

    job = submit(path, out, [line.number for line in planned], read_site(expanded(slurm)))
    sys.stdout.write(f"array {job}: {many(len(planned), 'line')}; logs/ood-sweep-{job}_N.out, results in {out}\n")
    return 0


def lines(file: list[str], number: int | None = None, command: str | None = None) -> int:
    """The lines of a sweep, numbered from 0.

    Args:
        file: lines `NAME: ARGUMENTS`, or a grid in YAML.
        number: of a line: its name and its arguments, a NUL after each, as job scripts read them.
        command: that the line has to be of, or to leave open.
    """
    path = one_file(file)
    of_file = read_sweep(path)
    if number is None:
        for i, line in enumerate(of_file):
            for step in line.steps:
                words = shlex.join([*([step.command] if step.command else []), *step.words])
                sys.stdout.write(f"{i} {line.name}: {words}\n")
        return 0

    _check_number(number, of_file, path)
    line = of_file[number]
    if len(line.steps) > 1 or (command and line.steps[0].command not in ("", command)):
        raise SettingsError(
            f"{path}, {line.name} is not of the one command {command}: submit it with sweep_array.sbatch"
        )
    # for a script; on a terminal a NUL is spelt out, as whatever else is not visible
    output = sys.stdout if sys.stdout.isatty() else getattr(sys.stdout, "unguarded", sys.stdout)
    output.write("".join(f"{word}\0" for word in (line.name, *line.steps[0].words)))
    return 0


def stages(file: list[str], out: str | None = None) -> int:
    """What of a sweep a pipeline submits: a line `COMMAND NUMBERS` for each stage, as job scripts read it.

    Args:
        file: lines `NAME: COMMAND ARGUMENTS`, or a grid in YAML.
        out: the sweep's folder; `runs/sweeps/NAME` of the file's name if None.
    """
    from ood_lightning.experiments.job_array import array_of
    from ood_lightning.experiments.records import plan
    from ood_lightning.experiments.stages import stages as stages_of

    path = one_file(file)
    folder = folder_of(path, out)
    planned = plan(read_sweep(path), folder)
    every_step = [line._replace(to_run=line.steps) for line in planned]
    names = check_commands(every_step, folder, path)
    commands = ["+".join(names[step.step] for step in line.steps) for line in planned]
    for command, numbers in stages_of(planned, commands):
        sys.stdout.write(f"{command} {array_of(numbers)}\n")
    return 0
