"""A sweep as one array of Slurm: what is submitted, and what each task of it runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from ood_lightning.data.artifacts.files import atomic_write, make_folder
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.lines import OWN_FOLDER
from ood_lightning.experiments.memory import asking
from ood_lightning.experiments.processes import Command, is_done
from ood_lightning.experiments.records import LOG, PlannedStep, Record, begin
from ood_lightning.experiments.stages import SHARED
from ood_lightning.text_files import lines_of, read_text

SUBMITTED = ".submitted"  # in the sweep's folder: the files that arrays read, and the last array's number
OPTIONS = "SBATCH_OPTIONS"  # of sbatch, which has a variable of its own for most but not for all of them
SCRIPTS = "OOD_SLURM_SCRIPTS"
VALIDATED = ("fit", "test", "embed", "mine", "filter")  # commands whose checks `validate` can run alone
_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")


def read_site(path: Path) -> dict[str, str]:
    """The variables of a site's file: lines `NAME=VALUE` as a shell reads them, nothing expanded.

    Raises:
        SettingsError: names the line.
    """
    variables = {}
    for number, line in enumerate(lines_of(read_text(path, "the site's settings", SettingsError)), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue

        match = _VARIABLE.fullmatch(line.strip())
        try:
            values = shlex.split(match[2], comments=True) if match else []
        except ValueError:
            values = ["", ""]
        if match is None or len(values) > 1:
            raise SettingsError(f"{path}, line {number} is not NAME=VALUE, with quotes around blanks: {line[:80]}")
        variables[match[1]] = values[0] if values else ""
    return variables


def array_of(numbers: Sequence[int]) -> str:
    """Numbers as `--array` takes them, ascending ones.

    Example:
        >>> array_of([0, 1, 2, 5, 7, 8])
        '0-2,5,7-8'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in spans)


def submit(file: Path, out: Path, numbers: Sequence[int], site: Mapping[str, str]) -> str:
    """Submit lines of a sweep as one array; returns its number.

    The array reads a copy of the sweep's file, so that an edit meanwhile does not give its tasks other lines.

    Args:
        file: of the sweep.
        out: its folder.
        numbers: of the lines, from 0.
        site: variables for sbatch and for the jobs.

    Raises:
        SettingsError: an earlier array of this sweep is still there, or Slurm refuses this one.
    """
    if shutil.which("sbatch", path=site.get("PATH")) is None:
        raise SettingsError("there is no sbatch here: submit from a machine of the cluster, or leave out --slurm")
    environment = {**os.environ, **site}
    folder = out / SUBMITTED
    if (job := _still_there(folder / "job", environment)) is not None:
        raise SettingsError(f"array {job} of this sweep waits or runs: wait for it, or `scancel {job}` first")

    script = Path(environment.get(SCRIPTS, "scripts/slurm")) / "sweep_array.sbatch"
    if not script.is_file():
        raise SettingsError(f"there is no {script}: submit from the project's folder, or set {SCRIPTS}")
    content = file.read_bytes()
    copy = folder / f"{sha256(content).hexdigest()[:8]}{file.suffix}"
    atomic_write(copy, content)
    Path("logs").mkdir(exist_ok=True)  # Slurm opens the logs, and makes no folder

    options = shlex.split(environment.get(OPTIONS, ""))
    command = ["sbatch", "--parsable", *options, f"--array={array_of(numbers)}", str(script), str(copy), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    job = done.stdout.strip().split(";")[0]
    if not job.isdigit():  # with --wait its exit status is that of the tasks
        raise SettingsError(f"sbatch refuses the array: {done.stderr.strip() or f'exit {done.returncode}'}")
    atomic_write(folder / "job", job.encode())
    return job


def _still_there(file: Path, environment: Mapping[str, str]) -> str | None:
    """The number of the last array, if Slurm still knows a task of it that is not done."""
    job = file.read_text().strip() if file.is_file() else ""
    if not re.fullmatch(r"\d+(,\d+)*", job):  # of a pipeline's stages all
        return None
    command = ["squeue", "--noheader", f"--jobs={job}"]
    known = subprocess.run(command, env={**environment}, capture_output=True, text=True)
    return job if known.returncode == 0 and known.stdout.strip() else None  # Slurm forgets a job that is over


def as_task(command: Command, folder: Path, variables: Mapping[str, str]) -> Command:
    """A step's command within a job: by `srun`, with as many processes as the job has tasks.

    Args:
        command: of the step.
        folder: that it writes to.
        variables: of the job's environment.
    """
    kept = {"WANDB_MODE": "offline", "WANDB_DATA_DIR": str(folder / "wandb"), "WANDB_CACHE_DIR": str(folder / "wandb")}
    environment = {name: variables.get(name, value) for name, value in kept.items()}
    if command.words[0] not in OWN_FOLDER:
        before: tuple[str, ...] = ("srun", "--nodes=1", "--ntasks=1")
        if command.words[0] == SHARED:  # the array's tasks have other lines; `embed` would take them for its helpers
            before += ("env", "--unset=SLURM_ARRAY_TASK_ID", "--unset=SLURM_ARRAY_JOB_ID")
        return command._replace(before=before, environment=environment)

    devices = f"--trainer.devices={variables.get('SLURM_NTASKS_PER_NODE', '1')}"
    nodes = f"--trainer.num_nodes={variables.get('SLURM_JOB_NUM_NODES', '1')}"
    srun = ("srun", "--kill-on-bad-exit=1", "--wait=0")  # the first rank goes on when the others are done
    return Command([*command.words, devices, nodes], srun, environment)


def run_as_task(steps: Sequence[tuple[PlannedStep, Command]], *, validate: bool = False) -> int:
    """Run the steps of a line one after the other; what they print also goes to this process's output.

    Signals reach the steps from Slurm itself.

    Args:
        steps: with their commands.
        validate: before each step look at what files can tell: once, not by every process of it.

    Returns:
        The exit status of the step that failed; 0 if all are finished.
    """
    for step, command in steps:
        make_folder(step.folder)
        begin(step.folder, step.settings, command.words)
        if validate and command.words[0] in VALIDATED:
            checks = command._replace(words=["validate", *command.words], before=())
            if status := _printed(checks, step.folder / LOG):
                return status

        began_s = time.monotonic()
        noting = command._replace(environment={**(command.environment or {}), **asking(step.folder)})
        status = _printed(noting, step.folder / LOG)
        if not is_done(status, step.folder / LOG):
            return status
        seconds = round(time.monotonic() - began_s, 1)
        Record(step.settings, True, command.words, seconds).write(step.folder)
    return 0


def _printed(command: Command, log: Path) -> int:
    """Run a command whose output goes into a file and to standard output; returns its exit status."""
    environment = {**os.environ, **(command.environment or {})}
    with (
        log.open("wb") as file,
        subprocess.Popen(command.argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
    ):
        assert process.stdout is not None
        while part := process.stdout.read1(65_536):  # type: ignore[attr-defined]
            file.write(part)
            sys.stdout.write(part.decode("utf-8", "replace"))
            sys.stdout.flush()
    return process.returncode
