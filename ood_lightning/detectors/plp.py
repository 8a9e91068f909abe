"""PLP: largest softmax probability of a linear probe that was trained on CLIP's own labels.

    S(x) = max_k softmax(W (x - mean) / std + b)_k

Source: Adaloglou et al., TMLR 2024, https://arxiv.org/abs/2303.05828; trained by `fit --config configs/plp.yaml`.
Differs: the logarithm is returned, which ranks alike; the code's MSP, the probability in float32, ties at 1. On
    projected, unit-norm features unless `features: tower`; the code takes the tower's output before the projection.
    What differs in the training stands in modules/probe.py.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 94.45 / 27.29 in ClusterMine's table; on its mined labels
    94.20 / 27.53.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import opened
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.errors import SettingsError
from ood_lightning.functional.blocks import in_cached_rows
from ood_lightning.functional.confidence import log_max_softmax
from ood_lightning.places import expanded

TRAIN = "fit --config configs/plp.yaml"


def names_sha256(names: Sequence[str]) -> str:
    """Hash of the names in their order: what the rows of a probe mean."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


@dataclass(frozen=True)
class PLP(Detector):
    """Logarithm of the probe's largest softmax probability, in nats; at most 0.

    Args:
        labels: name of the label set whose positives are the probe's classes.
        probe: `probe.safetensors` of a fit.
        features: what the probe was trained on: `image`, projected and unit-norm, or `tower`, before the projection.
    """

    supervision: ClassVar[frozenset[str]] = frozenset({"id_images"})
    trained: ClassVar[str] = "probe"

    labels: str = "names"
    probe: str = "runs/plp/probe.safetensors"
    features: Literal["image", "tower"] = "image"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that `features` names."""
        return (self.features,)

    def missing(self) -> str:
        """The probe, if there is no such file."""
        there = expanded(self.probe).is_file()
        return "" if there else f"a probe ({TRAIN}): there is no file {self.probe}"

    def bind(self, evidence: Evidence) -> Scorer:
        """Read the probe; see :meth:`_read` for its errors."""
        logits = self._read(evidence)
        return lambda features: in_cached_rows(log_max_softmax, logits(features))

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        if self.features != "image":
            return super().traceable(evidence)
        logits = self._read(evidence)
        return lambda features: log_max_softmax(logits(features))

    def _read(self, evidence: Evidence) -> Callable[[Tensor], Tensor]:
        """The probe: features (B, D) to logits (B, P).

        Raises:
            SettingsError: if the file is no probe, or one of other names, other features or another encoder.
        """
        with opened(expanded(self.probe), {}, f"train one with `{TRAIN}`", SettingsError) as store:
            weight = store.tensor("weight", (None, None), torch.float32)  # (P, D)
            n_names, dim = weight.shape
            bias = store.tensor("bias", (n_names,), torch.float32)
            mean, std = (store.tensor(name, (dim,), torch.float32) for name in ("mean", "std"))

        if not all(part.isfinite().all() for part in (weight, bias, mean, std)) or (std <= 0).any():
            raise SettingsError(
                f"{self.probe} holds a weight that is not finite, or a deviation of 0: train one with `{TRAIN}`"
            )

        names = evidence.label_sets[self.labels].texts.positives
        run = {"encoder": evidence.encoder, "features": self.features, "names": names_sha256(names)}
        if differs := [what for what, value in run.items() if store.provenance.get(what) != value]:
            raise SettingsError(
                f"{self.probe} was trained with other {' and '.join(differs)} than this run's ({len(names)} names of "
                f"label set {self.labels!r}, {self.features} features): train it again, or name what it was "
                f"trained with"
            )

        def logits(features: Tensor) -> Tensor:
            standardised = (features.float() - mean.to(features.device)) / std.to(features.device)  # (B, D)
            return standardised @ weight.T.to(features.device) + bias.to(features.device)  # (B, P)

        return logits
