"""Lines as processes: what is finished, what failed, and how Ctrl-C ends them. The commands here are bash."""

import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import exit_code, wait_until

from ood_lightning.experiments import processes
from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line
from ood_lightning.experiments.processes import Command, Failure, last_lines, run_lines, shared_cores
from ood_lightning.experiments.records import CHECKPOINT, FILE, begin, plan, read_record

OUT = Path("out")


def lines() -> list[Line]:
    """Lines `c-1` and `c-2` with the steps `fit` and `test`."""
    return read_grid("steps:\n  fit: --c {c}\n  test: --d {c}\ngrid: {c: [1, 2]}", Path("g.yaml"))


def run(script: str, jobs: int = 2) -> list[Failure]:
    """Run what is not finished; `$C` is a line's value and `$STEP` its command."""
    to_run = []
    for planned in plan(lines(), OUT):
        steps = []
        for step in planned.to_run:
            words = [step.step.command, *planned.line.words(OUT, step.step)]
            environment = {"C": planned.line.values["c"], "STEP": step.step.command, "FOLDER": str(step.folder)}
            steps.append((step, Command(words, ("bash", "-c", script), environment)))
        if steps:
            to_run.append((planned.line.name, steps))
    return run_lines(to_run, jobs)


def test_every_step_runs_once_in_its_order():
    assert run("echo $C$STEP >> said.txt", jobs=1) == []
    assert Path("said.txt").read_text().split() == ["1fit", "1test", "2fit", "2test"]

    assert not any(planned.to_run for planned in plan(lines(), OUT))
    record = read_record(OUT / "c-2/test")
    assert record is not None
    assert (record.finished, record.words) == (True, ["test", "--d", "2"])


def test_a_failure_is_named_and_it_alone_is_repeated():
    (failure,) = run("echo $C$STEP >> said.txt; echo why; [ $C$STEP != 2fit ] || exit 3")
    assert failure == Failure("c-2", "fit", 3, OUT / "c-2/fit/sweep.log")
    assert last_lines(OUT / "c-2/fit/sweep.log") == ["why"]
    assert sorted(Path("said.txt").read_text().split()) == ["1fit", "1test", "2fit"]

    assert run("echo $C$STEP >> again.txt") == []
    assert Path("again.txt").read_text().split() == ["2fit", "2test"]


def test_unreadable_pictures_are_no_failure_and_an_exception_is_one():
    assert run("exit 1") == []
    for record in OUT.rglob(FILE):
        record.unlink()
    assert len(run("echo 'Traceback (most recent call last):'; exit 1")) == 2


def test_a_step_of_other_settings_runs_again_without_its_checkpoint():
    fit = OUT / "c-1/fit"
    assert run("touch $FOLDER/last.ckpt") == []
    begin(fit, read_record(fit).settings, [])  # type: ignore[union-attr]
    assert (fit / CHECKPOINT).is_file()
    assert [len(planned.to_run) for planned in plan(lines(), OUT)] == [2, 0]

    begin(fit, "other", [])
    assert not (fit / CHECKPOINT).exists()


def test_a_damaged_record_counts_as_none():
    assert run("true") == []
    (OUT / "c-1/test" / FILE).write_text("{")
    assert [len(planned.to_run) for planned in plan(lines(), OUT)] == [1, 0]


def _run_forever() -> None:
    script = """
        trap 'echo stopped > $FOLDER/stopped; exit 130' INT
        trap 'echo stopped > $FOLDER/terminated; exit 143' TERM
        touch $FOLDER/ready
        while true; do sleep 0.05; done
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(script)
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.parametrize(
    ("number", "status", "trace"), [(signal.SIGINT, 130, "stopped"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_what_runs_and_nothing_else_starts(number: signal.Signals, status: int, trace: str):
    process = get_context("fork").Process(target=_run_forever)
    process.start()
    folders = [OUT / "c-1/fit", OUT / "c-2/fit"]
    wait_until(lambda: all((folder / "ready").exists() for folder in folders), "both lines to run")
    os.kill(process.pid or 0, number)
    assert exit_code(process) == status
    assert all((folder / trace).is_file() for folder in folders)
    assert not list(OUT.glob("*/test"))
    assert [len(planned.to_run) for planned in plan(lines(), OUT)] == [2, 2]


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_while_a_step_starts_ends_that_step(
    number: signal.Signals, ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(*argv, **options))
        os.kill(os.getpid(), number)
        return started[-1]

    monkeypatch.setattr(processes, "subprocess", SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL))
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # which a suite in the background inherits as ignored
    try:
        with pytest.raises(ends):
            run("sleep 600")
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(started) == 1
    assert started[0].poll() is not None


def test_the_last_state_of_a_bar_is_a_line():
    Path("log").write_text("a\nbar 1\rbar 2\r\n\nend\n")
    assert last_lines(Path("log")) == ["a", "bar 1", "bar 2", "end"]
    assert last_lines(Path("none")) == []


def test_cores_are_shared_unless_somebody_said_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert (shared_cores(1), shared_cores(3), shared_cores(99)) == (
        {},
        {"OMP_NUM_THREADS": "2"},
        {"OMP_NUM_THREADS": "1"},
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert shared_cores(2) == {}
