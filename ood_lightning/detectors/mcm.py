"""MCM: maximum concept matching, the largest softmax probability over the ID names.

    S(x) = max_k softmax(c(x, y_k) / T)_k

Source: Ming et al., NeurIPS 2022, https://arxiv.org/abs/2211.13445; T = 1 on raw cosines as in the authors' code. At
    CLIP's own temperature, some 0.01, it is another score: the softmax that zero-shot classification takes.
Differs: the logarithm is returned, which ranks alike; probabilities near 1 would tie in float32.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 92.46 / 35.22 in ClusterMine's table.
"""

from dataclasses import dataclass

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.functional.blocks import in_cached_rows
from ood_lightning.functional.confidence import log_max_softmax
from ood_lightning.functional.similarity import cosines
from ood_lightning.ranges import Positive


@dataclass(frozen=True)
class MCM(LabelDetector):
    """Logarithm of the largest softmax probability, in nats; at most 0.

    Args:
        labels: name of the label set; its negatives are not used.
        temperature: T, divides raw cosines; None: the model's own, 1 / logit_scale.
    """

    formula = staticmethod(log_max_softmax)  # of logits (B, K)

    labels: str = "names"
    temperature: Positive | None = 1.0

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        names, _, logit_scale = evidence.labels(self.labels)
        temperature = 1 / logit_scale if self.temperature is None else self.temperature
        return lambda features: self.formula((features @ names.T).double() / temperature)

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        temperature = 1 / labels.logit_scale if self.temperature is None else self.temperature
        return in_cached_rows(
            lambda products: self.formula(products.double().div_(temperature)), cosines(features, labels.positives)
        )
