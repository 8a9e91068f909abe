"""GLMCM: does the whole image match a concept, or any patch of it?

    S(x) = max_k softmax(c(x, y_k) / T)_k + lambda max_p max_k softmax(c(x_p, y_k) / T)_k

Source: Miyai et al., IJCV 2025, https://arxiv.org/abs/2304.04521; T = 1 on raw cosines and lambda = 1, the defaults of
    the authors' code. Its script for ImageNet sets lambda to 0.5, with the prompt `a photo of a {}`.
Differs: patches are stored in half precision.
Expected: ImageNet, ViT-B/16, AUROC iNaturalist 96.44, OpenImage-O 92.91, Clean 84.78, NINCO 76.03; mean AUROC / FPR95
    87.54 / 44.46, in NegRefine's table.
"""

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.functional.confidence import local_match, log_max_softmax
from ood_lightning.functional.similarity import cosines
from ood_lightning.ranges import NotNegative, Positive


@dataclass(frozen=True)
class GLMCM(Detector):
    """MCM of the image plus MCM of its best patch, in (0, 1 + local_weight).

    Args:
        labels: name of the label set; its negatives are not used.
        temperature: T, divides raw cosines.
        local_weight: lambda; 0 is MCM.
    """

    labels: str = "names"
    temperature: Positive = 1.0
    local_weight: NotNegative = 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Features of the image and of its patches."""
        return ("image", "patches")

    def bind(self, evidence: Evidence) -> Scorer:
        """The score on the label set that `labels` names."""
        return partial(self._score, names=evidence.labels(self.labels).positives)

    def _score(self, features: Tensor, patches: Tensor, names: Tensor) -> Tensor:
        whole = log_max_softmax(cosines(features, names).double() / self.temperature).exp()
        return whole + self.local_weight * local_match(patches, names, self.temperature)
