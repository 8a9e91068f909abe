"""Fits that meet a signal at a known step, in a process of their own."""

import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import lightning.pytorch as L
import torch
from waiting import exit_code

from ood_lightning.callbacks.checkpoint import RunCheckpoint
from ood_lightning.callbacks.stop import SafeStop
from ood_lightning.cli.main import main

WAITING = "waiting for a signal"


class WaitForSignal(L.Callback):
    """Says that it waits, and goes on when this process has received a signal, so that no test races against a run.

    A fit waits in the second batch of an epoch, an evaluation in its first batch. A requeued job of Slurm goes on.

    Args:
        epoch: of a fit, the first is 0.
    """

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch

    def on_train_batch_start(self, trainer: L.Trainer, module: object, batch: object, index: int) -> None:
        if (trainer.current_epoch, index) != (self.epoch, 1) or "SLURM_RESTART_COUNT" in os.environ:
            return

        (stop,) = (callback for callback in trainer.callbacks if isinstance(callback, SafeStop))
        print(WAITING, file=sys.stderr, flush=True)
        while stop.signal_received is None:
            time.sleep(0.01)

    def on_test_batch_start(self, *args: object) -> None:
        print(WAITING, file=sys.stderr, flush=True)
        while True:  # the signal's handler raises
            time.sleep(0.01)


def _fit(command: list[str], number: signal.Signals, epoch: int) -> None:
    def begin(self: RunCheckpoint, trainer: L.Trainer, module: object, batch: object, index: int) -> None:
        if (trainer.current_epoch, index) == (epoch, 1):
            os.kill(os.getpid(), number)

    RunCheckpoint.on_train_batch_start = begin  # type: ignore[assignment,method-assign]
    with Path("said.txt").open("a") as said, redirect_stdout(said), redirect_stderr(said):
        sys.exit(main(command))


def stopped(command: list[str], number: signal.Signals, epoch: int, run: Path) -> None:
    """Run `fit` until the second batch of an epoch, and see that it left what was finished and no more.

    In a forked process that sends itself the signal: importing torch again would take seconds.

    Args:
        command: with `RunCheckpoint` among its callbacks.
        number: the signal.
        epoch: the first is 0; those before it are finished.
        run: folder of the fit.
    """
    process = get_context("fork").Process(target=_fit, args=(command, number, epoch))
    process.start()
    assert exit_code(process) == (143 if number == signal.SIGTERM else -number), Path("said.txt").read_text()
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] + 1 == epoch
    assert not list(run.glob("*.safetensors"))
