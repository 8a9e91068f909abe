"""Lines of a sweep as processes of this machine, several at a time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from ood_lightning.data.artifacts.files import make_folder
from ood_lightning.errors import SOME_UNREAD, TERMINATED
from ood_lightning.experiments.lines import OWN_FOLDER
from ood_lightning.experiments.memory import asking
from ood_lightning.experiments.records import LOG, PlannedLine, PlannedStep, Record, begin
from ood_lightning.progress import bar

POLL_S = 0.1  # a step takes seconds at least
TAIL_BYTES = 20_000
TAIL_LINES = 5


class Command(NamedTuple):
    """What a step runs.

    Attributes:
        words: the command of ours and its arguments.
        before: of the command line, before the interpreter; such as `srun`.
        environment: variables beside this process's own.
    """

    words: list[str]
    before: tuple[str, ...] = ()
    environment: dict[str, str] | None = None

    @property
    def argv(self) -> list[str]:
        """The whole command line."""
        return [*self.before, sys.executable, "-m", "ood_lightning", *self.words]


def command_of(planned: PlannedLine, step: PlannedStep, out: Path, name: str) -> Command:
    """The command of a step; `fit` and `test` are told their folder.

    Args:
        planned: the step's line.
        step: one of its steps.
        out: the sweep's folder.
        name: of the command, which a line need not name.
    """
    folder = [f"--trainer.default_root_dir={step.folder}"] if name in OWN_FOLDER else []
    return Command([name, *planned.line.words(out, step.step), *folder])


class Failure(NamedTuple):
    """A line that did not end well.

    Attributes:
        name: of the line.
        command: of the step that failed.
        status: its exit status; a signal's number is negative.
        log: what it printed.
    """

    name: str
    command: str
    status: int
    log: Path


@dataclass
class _Running:
    """A line of which a step runs now."""

    name: str
    steps: deque[tuple[PlannedStep, Command]]
    process: subprocess.Popen[bytes] | None = None
    began_s: float = 0.0

    def start(self) -> None:
        """Start the next step; it has a process group of its own, so that Ctrl-C reaches it through us alone."""
        step, command = self.steps[0]
        make_folder(step.folder)
        begin(step.folder, step.settings, command.words)
        self.began_s = time.monotonic()
        environment = {**os.environ, **(command.environment or {}), **asking(step.folder)}
        with (step.folder / LOG).open("wb") as log:
            self.process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                process_group=0,
            )

    def ended(self) -> bool:
        """Note a step that has ended, and start the next; whether the line has ended, well or not."""
        status = self.process.poll() if self.process else None
        if status is None:
            return False
        step, command = self.steps[0]
        if not is_done(status, step.folder / LOG):
            return True

        seconds = round(time.monotonic() - self.began_s, 1)
        Record(step.settings, True, command.words, seconds).write(step.folder)
        self.steps.popleft()
        if self.steps:
            self.start()
        return not self.steps

    def failure(self) -> Failure | None:
        """What failed, of a line that has ended."""
        if not self.steps or self.process is None:
            return None
        step, command = self.steps[0]
        return Failure(self.name, command.words[0], self.process.returncode, step.folder / LOG)


def is_done(status: int, log: Path) -> bool:
    """Whether a step did its work: some unreadable pictures are no failure, an exception has the same exit status."""
    return status == 0 or (status == SOME_UNREAD and b"Traceback (most recent call last)" not in _end_of(log))


def run_lines(lines: Sequence[tuple[str, Sequence[tuple[PlannedStep, Command]]]], jobs: int) -> list[Failure]:
    """Run lines, so many at a time, each one's steps one after the other; returns those that failed.

    Ctrl-C and SIGTERM are passed on to what runs, and waited for: a second Ctrl-C is passed on too.

    Args:
        lines: names, and steps with their commands.
        jobs: how many run at a time.
    """
    waiting = deque(_Running(name, deque(steps)) for name, steps in lines)
    running: list[_Running] = []
    failures: list[Failure] = []

    with bar(len(waiting), "sweep", "line") as progress, _signals_passed_on(running) as signals:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.popleft())
                with signals.held():
                    running[-1].start()
            time.sleep(POLL_S)

            for line in list(running):
                with signals.held():  # the next step may start
                    has_ended = line.ended()
                if not has_ended:
                    continue
                running.remove(line)
                progress.update()
                if failure := line.failure():
                    failures.append(failure)

    return failures


class _Signals:
    """Raises what ends this process; not while a step starts, which would run on without being known here."""

    def __init__(self) -> None:
        self._is_held = False
        self._waiting: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Of SIGINT and SIGTERM."""
        if self._is_held:
            self._waiting = number
            return
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, a signal waits."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if (number := self._waiting) is not None:
            self._waiting = None
            self.handle(number, None)


@contextmanager
def _signals_passed_on(running: list[_Running]) -> Iterator[_Signals]:
    """Inside, what ends this process ends the running steps first, each by its own handling of that signal."""
    signals = _Signals()
    handled = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored, as in the background
        handled.append(signal.SIGINT)

    before = {number: signal.signal(number, signals.handle) for number in handled}
    try:
        yield signals
    except BaseException as error:
        _stop(running, signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(running: list[_Running], number: signal.Signals) -> None:
    processes = [line.process for line in running if line.process]
    while True:
        try:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in processes:
                process.wait()
            return
        except KeyboardInterrupt:
            number = signal.SIGINT


def shared_cores(jobs: int) -> dict[str, str]:
    """Variables with which so many processes at a time share the cores, unless they are set already."""
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}


def last_lines(log: Path) -> list[str]:
    """The last lines of what a step printed; of a progress bar the last state."""
    lines = re.split(r"[\r\n]+", _end_of(log).decode("utf-8", "replace"))
    return [line.rstrip() for line in lines if line.strip()][-TAIL_LINES:]


def _end_of(log: Path) -> bytes:
    """The last bytes of what a step printed; nothing where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read()
    except OSError:
        return b""
