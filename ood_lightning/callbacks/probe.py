"""Writes a trained probe as safetensors, with all that its detector reads."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from safetensors.torch import save

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.detectors.base import PROVENANCE_KEY
from ood_lightning.detectors.plp import names_sha256


class ProbeWriter(L.Callback):
    """`probe.safetensors` and the label set it was trained with, when the fit has ended."""

    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        if not trainer.is_global_zero:
            return

        probe = module.probe.cpu()
        tensors = {"weight": probe.weight, "bias": probe.bias, "mean": module.feature_mean, "std": module.feature_std}
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        provenance = {
            "encoder": module.encoder.fingerprint,
            "features": module.features,
            "names": names_sha256(module.label_set.words),
        }

        out = Path(trainer.default_root_dir)
        atomic_write(out / "probe.safetensors", save(stored, {PROVENANCE_KEY: json.dumps(provenance, sort_keys=True)}))
        module.label_set.write(out / "labels.json")
        print(f"probe over {len(probe.weight)} names: {out / 'probe.safetensors'}")
