"""Stop and go: a fit that was stopped twice gives the bytes of one that was not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from wandb_file import runs_in

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow
EPOCHS = 200
WANDB = Path(__file__).parent.parent / "configs/with_wandb.yaml"


class Slow(L.Callback):
    """Says when scoring begins, and makes it last."""

    def on_test_batch_start(self, *args: object) -> None:
        print("scoring has begun", file=sys.stderr, flush=True)
        time.sleep(1)


def start(fit_yaml: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ood_lightning", "fit", f"--config={fit_yaml}", f"--config={WANDB}"]
    command += [f"--trainer.max_epochs={EPOCHS}", "--trainer.default_root_dir=run/stopped"]
    with log.open("wb") as file:
        return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=file, stderr=file)


def stop(process: subprocess.Popen[bytes], number: signal.Signals, checkpoint: Path) -> int:
    """Send a signal once a checkpoint has been written by this process; returns the exit status."""
    began, limit = time.time(), time.monotonic() + 90
    while not checkpoint.is_file() or checkpoint.stat().st_mtime < began:
        assert process.poll() is None, "the fit ended by itself"
        assert time.monotonic() < limit, "no checkpoint within 90 s"
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=60)


def finished_epochs(checkpoint: Path) -> int:
    return torch.load(checkpoint, weights_only=True)["epoch"] + 1


def test_a_fit_stopped_by_ctrl_c_and_by_sigterm_goes_on_to_the_same_bytes(fit_yaml: Path, tmp_path: Path):
    assert main(["fit", "--config", str(fit_yaml), f"--trainer.max_epochs={EPOCHS}"]) == 0
    run = tmp_path / "run/stopped"
    checkpoint, logs = run / "last.ckpt", [tmp_path / f"{i}.log" for i in range(3)]

    assert stop(start(fit_yaml, logs[0]), signal.SIGINT, checkpoint) == 130
    first = finished_epochs(checkpoint)
    assert 0 < first < EPOCHS
    assert stop(start(fit_yaml, logs[1]), signal.SIGTERM, checkpoint) == 143
    second = finished_epochs(checkpoint)
    assert first < second < EPOCHS
    assert not (run / "labels.json").exists()
    assert start(fit_yaml, logs[2]).wait(timeout=120) == 0
    assert finished_epochs(checkpoint) == EPOCHS

    said = [log.read_text() for log in logs]
    assert not any("Traceback" in text for text in said)
    for text in said[:2]:
        assert f"of {EPOCHS}: {Path('run/stopped/last.ckpt')} holds the epochs up to its last save" in text
    assert "The same command goes on where this one left off" in said[0]
    for text in said[1:]:
        assert "reusing run/stopped/last.ckpt: training goes on from there" in text
    for name in ("labels.json", "posmine.json"):
        assert (run / name).read_bytes() == (tmp_path / "run/fit" / name).read_bytes()
    one, other = (torch.load(tmp_path / "run" / f / "last.ckpt", weights_only=True) for f in ("fit", "stopped"))
    assert [n for n, value in one["state_dict"].items() if not torch.equal(value, other["state_dict"][n])] == []

    curves = [[row["epoch"] for row in r.history if "fit/loss" in row] for r in runs_in(run)]
    assert [len(curve) for curve in curves] == [first, second - first, EPOCHS - second]
    assert [epoch for curve in curves for epoch in curve] == list(range(EPOCHS))


def _killed_while_saving(command: list[str]) -> None:
    """As where the system's folder for temporary files is another disk: moving is copying."""
    saves = count(1)

    def move(source: str, target: str) -> None:
        data = Path(source).read_bytes()
        Path(target).write_bytes(data[: len(data) // 2])
        if next(saves) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        Path(target).write_bytes(data)
        Path(source).unlink()

    shutil.move = move  # type: ignore[assignment]
    sys.exit(main(command))


def test_a_fit_killed_while_it_saves_goes_on_to_the_same_bytes(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    command = ["fit", f"--config={fit_yaml}", "--trainer.max_epochs=5"]
    assert main(command) == 0
    command.append("--trainer.default_root_dir=run/killed")
    process = get_context("fork").Process(target=_killed_while_saving, args=(command,))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert finished_epochs(Path("run/killed/last.ckpt")) == 2
    assert main(command) == 0
    assert "reusing run/killed/last.ckpt" in capsys.readouterr().err
    one, other = (torch.load(f"run/{name}/last.ckpt", weights_only=True) for name in ("fit", "killed"))
    assert [n for n, value in one["state_dict"].items() if not torch.equal(value, other["state_dict"][n])] == []
    assert Path("run/killed/labels.json").read_bytes() == Path("run/fit/labels.json").read_bytes()
    assert not list(Path("run/killed").glob("*.part")) + list(Path("run/killed").glob(".*"))


def test_sigterm_ends_an_evaluation_without_results(eval_yaml: Path, tmp_path: Path):
    # every set in blocks of one picture, so that there is time
    command = [sys.executable, "-m", "ood_lightning", "test", f"--config={eval_yaml}", "--data.batch_size=1"]
    process = subprocess.Popen(
        [*command, "--trainer.callbacks+=test_interrupt.Slow"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert any(b"scoring has begun" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert b"Traceback" not in said
    assert not (tmp_path / "run/eval/DONE").exists()
