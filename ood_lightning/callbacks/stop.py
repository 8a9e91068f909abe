"""What SIGTERM and Ctrl-C do to a run: it ends between two batches, on all ranks alike; its checkpoint stays."""

import signal
from types import FrameType
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.exceptions import SIGTERMException


class SafeStop(L.Callback):
    """Takes the place of the handlers of SIGTERM and SIGINT while batches run; Lightning puts the old ones back.

    Lightning 2.6 broadcasts from inside its handler, where other ranks may be within another collective, and lets each
    rank leave when it sees its own flag, while the others wait for it. Under Slurm it saves there too, in the middle of
    a step: no run could go on from that to the same bytes. Before the first batch (while pictures are embedded) and
    after the last, signals end the process as they end any other. Ctrl-C waits for the batch too, so that no epoch is
    saved whose losses were not logged; a second one does not wait.
    """

    signal_received: int | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """From here on a signal is noted, and obeyed at the end of the batch, where all ranks can agree on it."""

        def handle(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGTERM:
                _forward(trainer, number)  # a terminal sends Ctrl-C to all of them itself
            elif self.signal_received == signal.SIGINT:
                raise KeyboardInterrupt
            self.signal_received = number

        self.signal_received = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handle)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Leave, all ranks together, if any of them has received a signal."""
        if trainer.strategy.reduce_boolean_decision(self.signal_received is not None, all=False):
            raise KeyboardInterrupt if self.signal_received == signal.SIGINT else SIGTERMException

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The same when the last epoch is saved."""
        self.on_train_batch_end(trainer)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Every rank leaves at once: ranks of an evaluation meet only at its end."""

        def handle(number: int, frame: FrameType | None) -> None:
            _forward(trainer, number)
            raise SIGTERMException

        signal.signal(signal.SIGTERM, handle)


def _forward(trainer: L.Trainer, number: int) -> None:
    """Pass a signal on to the ranks that this process started; under Slurm it started none."""
    launcher: Any = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(number)
