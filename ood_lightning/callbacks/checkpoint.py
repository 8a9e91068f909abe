"""Checkpoints that make stop and go safe: written at epochs' ends, and resumed only by the run that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from ood_lightning.errors import SettingsError

LAST = "last.ckpt"
RUN = "ood_lightning_run"


def settings(trainer: L.Trainer, module: Any, data: Any) -> dict[str, Any]:
    """What a fit depends on, as plain data."""
    return {
        **{name: value for name, value in module.hparams.items() if not name.startswith("_")},
        "max_epochs": trainer.max_epochs,
        "id_shards": data.id_shards,
        "n_neighbours": data.n_neighbours,
        "batch_size": data.batch_size,
        "data.seed": data.seed,
        "encoder": data.encoder.fingerprint,
    }


def checkpoint_of(trainer: L.Trainer, module: Any, data: Any) -> Path | None:
    """The checkpoint that this very run left in its folder, if any.

    Raises:
        SettingsError: a run of other settings lies there; names what differs.
    """
    path = Path(trainer.default_root_dir) / LAST
    if not path.is_file():
        return None
    before = torch.load(path, weights_only=True, mmap=True, map_location="cpu").get(RUN, {})
    now = settings(trainer, module, data)
    other = [f"{name} {before.get(name)!r} there, {now[name]!r} now" for name in now if before.get(name) != now[name]]
    if other:
        raise SettingsError(
            f"{path} was made with other settings ({'; '.join(other[:4])}). Give this run a folder of its own with "
            f"--trainer.default_root_dir, or remove the old one."
        )
    return path


class RunCheckpoint(ModelCheckpoint):
    """`last.ckpt` in the run's folder, at the end of every n-th epoch and of the last.

    Args:
        every_n_epochs: how often.
    """

    def __init__(self, every_n_epochs: int = 1) -> None:
        super().__init__(
            save_last=True,
            save_top_k=0,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: D102
        self.dirpath = trainer.default_root_dir
        super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:  # noqa: D102
        checkpoint[RUN] = settings(trainer, pl_module, trainer.datamodule)  # type: ignore[attr-defined]

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:  # noqa: D102
        if not isinstance(exception, KeyboardInterrupt) or not trainer.is_global_zero:
            return
        path = Path(trainer.default_root_dir) / LAST
        kept = f"{path} holds the epochs up to its last save" if path.is_file() else "finished features are kept"
        at = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        print(f"stopped in {at}: {kept}. The same command goes on from there.")
