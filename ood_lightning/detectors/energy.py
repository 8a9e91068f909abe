"""Energy: softmax mass of the ID names, on a logarithmic scale.

    S(x) = T log sum_k exp(c(x, y_k) / T)

Source: Liu et al., NeurIPS 2020, https://arxiv.org/abs/2010.03759; T = 1 on raw cosines as in MCM's code.
Expected: ImageNet, ViT-B/16, mean AUROC / FPR95 over iNaturalist, SUN, Places, Textures 79.57 / 82.21 (as InterNeg
    lists it).
"""

from dataclasses import dataclass

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.functional.log_sum_exp import traceable_log_sum_exp
from ood_lightning.functional.similarity import log_mass
from ood_lightning.ranges import Positive


@dataclass(frozen=True)
class Energy(LabelDetector):
    """Negated free energy, in the unit of cosines.

    Args:
        labels: name of the label set; its negatives are not used.
        temperature: T, divides raw cosines.
    """

    labels: str = "names"
    temperature: Positive = 1.0

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        names = evidence.labels(self.labels).positives
        return lambda features: self.temperature * traceable_log_sum_exp(features @ names.T, 1 / self.temperature)

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        return self.temperature * log_mass(features, labels.positives, 1 / self.temperature)
