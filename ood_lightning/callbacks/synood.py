"""Writes SynOOD's trained head as safetensors; its detector reads it together with the label set."""

from pathlib import Path
from typing import Any

import lightning.pytorch as L
from safetensors.torch import save

from ood_lightning.data.artifacts.files import atomic_write


class HeadWriter(L.Callback):
    """`head.safetensors` and the label set it was trained with, when the fit has ended."""

    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        out = Path(trainer.default_root_dir)
        tensors, metadata = module.head()
        atomic_write(out / "head.safetensors", save(tensors, metadata))
        module.label_set.write(out / "labels.json")
        print(f"head with {len(tensors['used'])} tuned negatives: {out / 'head.safetensors'}")
