"""PLP: largest softmax probability of a linear probe that was trained on CLIP's own labels.

    S(x) = max_k softmax(W (x - mean) / std + b)_k

Source: Adaloglou et al., TMLR 2024, https://arxiv.org/abs/2303.05828; trained by `fit --config configs/plp.yaml`.
Differs: the logarithm is returned, which ranks alike and does not tie at 1. On projected, unit-norm features unless
    `features: tower`; the authors' code takes the tower's output before the projection.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 94.45 / 27.29 in ClusterMine's table; on its mined labels
    94.20 / 27.53.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ood_lightning.detectors.base import Detector, Evidence, Scorer
from ood_lightning.errors import SettingsError
from ood_lightning.functional.confidence import log_max_softmax


@dataclass(frozen=True)
class PLP(Detector):
    """Logarithm of the probe's largest softmax probability, in nats; at most 0.

    Args:
        labels: name of the label set whose positives the probe was trained to tell apart.
        probe: `probe.safetensors` of a fit.
        features: those that it was trained on: `image`, projected and unit-norm, or `tower`, before the projection.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"id_images"})

    labels: str = "names"
    probe: str = "runs/plp/probe.safetensors"
    features: Literal["image", "tower"] = "image"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that `features` names."""
        return (self.features,)

    def bind(self, evidence: Evidence) -> Scorer:
        """Read the probe."""
        path = Path(self.probe)
        if not path.is_file():
            raise SettingsError(f"there is no probe {path}: train it with `fit --config configs/plp.yaml`")
        try:
            with safe_open(path, framework="pt") as stored:
                weight, bias, mean, std = (stored.get_tensor(name) for name in ("weight", "bias", "mean", "std"))
                column = (stored.metadata() or {}).get("features", "image")
        except SafetensorError as error:
            raise SettingsError(f"{path} is no probe: {error}") from None
        if column != self.features:
            raise SettingsError(f"{path} was trained on {column} features, the detector reads {self.features}")
        positives = evidence.labels[self.labels].positives
        dim = positives.shape[1] if self.features == "image" else weight.shape[1]
        if weight.shape != (len(positives), dim):
            raise SettingsError(
                f"{path} tells {len(weight)} names apart in {weight.shape[1]} dimensions, the run's label set "
                f"{self.labels!r} has {len(positives)} in {dim}: train it again"
            )

        def score(features: Tensor) -> Tensor:
            standardised = (features.float() - mean.to(features.device)) / std.to(features.device)
            return log_max_softmax(standardised @ weight.T.to(features.device) + bias.to(features.device))

        return score
