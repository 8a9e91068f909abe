"""Writes SynOOD's trained head as safetensors; its detector reads it together with the label set."""

from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_only

from ood_lightning.callbacks.checkpoint import Resumable, hash_of_fit
from ood_lightning.data.artifacts.store import write_store
from ood_lightning.datamodules.contracts import data_of


class HeadWriter(L.Callback):
    """`head.safetensors` and the label set it was trained with, when the fit has ended."""

    file = "head.safetensors"

    @rank_zero_only
    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        out = Path(trainer.default_root_dir)
        trained = module.trained()
        tensors = {name: tensor.cpu() for name, tensor in trained.tensors.items()}

        run = hash_of_fit(trainer, module, data_of(trainer, Resumable, self), label_set=module.label_set.sha256)
        write_store(out / self.file, tensors, {**trained.provenance, "run": run})
        module.label_set.write(out / "labels.json", run)
        print(f"{trained.title}: {out / self.file}")
