"""Stop and go: a fit that was stopped twice gives the bytes of one that was not."""

import os
import signal
import subprocess
import sys
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from half_written import write_in_halves
from signalled import WAITING
from waiting import HANG_S, exit_code, wait_until
from wandb_file import runs_in

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow
EPOCHS = 8
STOPS = {signal.SIGINT: 3, signal.SIGTERM: 6}  # epochs that are finished then
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
WANDB = Path(__file__).parent.parent / "configs/with_wandb.yaml"


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """The real command in a process of its own, which finds the callbacks of tests; what it says goes into a file."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "ood_lightning", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            stdout=file,
            stderr=file,
        )


def send_when_it_waits(process: subprocess.Popen[bytes], number: signal.Signals, log: Path) -> int:
    """Send a signal to a process that waits for it; returns the exit status."""
    try:
        wait_until(lambda: WAITING in log.read_text(), "the step to stop at", process)
        process.send_signal(number)
        return process.wait(HANG_S)
    finally:
        process.kill()  # nothing where it has ended


def finished_epochs(run: Path) -> int:
    return torch.load(run / "last.ckpt", weights_only=True)["epoch"] + 1


def same_weights(run: Path, other: Path) -> bool:
    mine, theirs = (torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, other))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_fit_stopped_by_ctrl_c_and_by_sigterm_goes_on_to_the_same_bytes(fit_yaml: Path, tmp_path: Path):
    whole, run = tmp_path / "run/fit", tmp_path / "run/stopped"
    command = ["fit", f"--config={fit_yaml}", f"--trainer.max_epochs={EPOCHS}"]
    assert main(command) == 0
    command += [f"--config={WANDB}", "--trainer.default_root_dir=run/stopped"]

    messages = []
    for number, epoch in STOPS.items():
        log = tmp_path / f"{number.name}.log"
        waiting = ["--trainer.callbacks+=signalled.WaitForSignal", f"--trainer.callbacks.epoch={epoch}"]
        assert send_when_it_waits(start(command + waiting, log), number, log) == STATUS[number]
        assert finished_epochs(run) == epoch
        assert not (run / "labels.json").exists()
        messages.append(log.read_text())

    last = tmp_path / "last.log"
    assert start(command, last).wait(HANG_S) == 0
    assert finished_epochs(run) == EPOCHS
    messages.append(last.read_text())

    assert not any("Traceback" in text for text in messages)
    for text in messages[:2]:
        assert f"of {EPOCHS}: run/stopped/last.ckpt holds the epochs up to its last save" in text
    assert "The same command goes on where this one left off" in messages[0]
    for text in messages[1:]:
        assert "reusing run/stopped/last.ckpt: training goes on from there" in text

    for name in ("labels.json", "posmine.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert same_weights(run, whole)

    curves = [[row["epoch"] for row in r.history if "fit/loss" in row] for r in runs_in(run)]
    assert curves == [[0, 1, 2], [3, 4, 5], [6, 7]]


def _killed_while_saving(command: list[str]) -> None:
    """Dead when half of the third checkpoint is written."""
    saves = count(1)

    def die(path: Path) -> None:
        if path.name.startswith(".last.ckpt") and next(saves) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    write_in_halves(die)
    sys.exit(main(command))


def test_a_fit_killed_while_it_saves_goes_on_to_the_same_bytes(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    whole, run = Path("run/fit"), Path("run/killed")
    command = ["fit", f"--config={fit_yaml}", "--trainer.max_epochs=5"]
    assert main(command) == 0

    command.append("--trainer.default_root_dir=run/killed")
    process = get_context("fork").Process(target=_killed_while_saving, args=(command,))
    process.start()
    assert exit_code(process) == -signal.SIGKILL
    assert finished_epochs(run) == 2
    assert list(run.glob(".last.ckpt.*"))

    assert main(command) == 0
    assert "reusing run/killed/last.ckpt" in capsys.readouterr().err
    assert same_weights(run, whole)
    assert (run / "labels.json").read_bytes() == (whole / "labels.json").read_bytes()
    assert [path.name for path in run.glob(".*")] == [".lock"]  # which nobody holds any longer


def test_sigterm_ends_an_evaluation_without_results(eval_yaml: Path, tmp_path: Path):
    log = tmp_path / "test.log"
    command = ["test", f"--config={eval_yaml}", "--trainer.callbacks+=signalled.WaitForSignal"]
    assert send_when_it_waits(start(command, log), signal.SIGTERM, log) == 143
    assert "Traceback" not in log.read_text()
    assert not (tmp_path / "run/eval/DONE").exists()
