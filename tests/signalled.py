"""A fit that sends itself a signal within an epoch, in a forked process: importing torch again would take seconds."""

import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import torch

from ood_lightning.callbacks.checkpoint import RunCheckpoint
from ood_lightning.cli.main import main


def _fit(command: list[str], number: signal.Signals, epoch: int) -> None:
    def begin(self: RunCheckpoint, trainer: object, module: object, batch: object, index: int) -> None:
        if (trainer.current_epoch, index) == (epoch, 1):  # type: ignore[attr-defined]
            os.kill(os.getpid(), number)

    RunCheckpoint.on_train_batch_start = begin  # type: ignore[assignment,method-assign]
    with Path("said.txt").open("a") as said, redirect_stdout(said), redirect_stderr(said):
        sys.exit(main(command))


def stopped(command: list[str], number: signal.Signals, epoch: int, run: Path) -> None:
    """Run `fit` until the second batch of an epoch, and see that it left what was finished and no more."""
    process = get_context("fork").Process(target=_fit, args=(command, number, epoch))
    process.start()
    process.join(120)
    assert process.exitcode == (143 if number == signal.SIGTERM else -number), Path("said.txt").read_text()
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] + 1 == epoch
    assert not list(run.glob("*.safetensors"))
