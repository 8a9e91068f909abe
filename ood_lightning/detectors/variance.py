"""Variance: how far the softmax over the ID names is from uniform.

    S(x) = var_k p_k (population variance),   p = softmax(c(x, y_k) / T)

Source: a score in the code of Ming et al., NeurIPS 2022, https://arxiv.org/abs/2211.13445; T = 1 on raw cosines.
Expected: no published number.
"""

from dataclasses import dataclass

from ood_lightning.detectors.mcm import MCM
from ood_lightning.functional.confidence import softmax_variance


@dataclass(frozen=True)
class Variance(MCM):
    """Variance of the softmax probabilities.

    Args:
        labels: name of the label set; its negatives are not used.
        temperature: T, divides raw cosines; None: the model's own, 1 / logit_scale.
    """

    formula = staticmethod(softmax_variance)
