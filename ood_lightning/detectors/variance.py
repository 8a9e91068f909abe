"""Variance: how far the softmax over the ID names is from uniform.

    S(x) = var_k p_k (population variance),   p = softmax(c(x, y_k) / T)

Source: a score in the code of Ming et al., NeurIPS 2022, https://arxiv.org/abs/2211.13445; T = 1 on raw cosines.
Expected: no published number.
"""

from dataclasses import dataclass

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.functional.confidence import softmax_variance
from ood_lightning.functional.similarity import cosines


@dataclass(frozen=True)
class Variance(LabelDetector):
    """Variance of the softmax probabilities.

    Args:
        labels: name of the label set; its negatives are not used.
        temperature: T, divides raw cosines.
    """

    labels: str = "names"
    temperature: float = 1.0

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        return softmax_variance(cosines(features, labels.positives).double() / self.temperature)
