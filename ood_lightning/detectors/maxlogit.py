"""MaxLogit: cosine to the nearest ID name.

    S(x) = max_k c(x, y_k)

Source: Hendrycks et al., ICML 2022, https://arxiv.org/abs/1911.11132, on CLIP's raw cosines as in MCM's code.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 89.65 / 45.17 in ClusterMine's table.
"""

from dataclasses import dataclass

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.functional.similarity import top_k


@dataclass(frozen=True)
class MaxLogit(LabelDetector):
    """Largest cosine, in [-1, 1].

    Args:
        labels: name of the label set; its negatives are not used.
    """

    labels: str = "names"

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        names = evidence.labels(self.labels).positives
        return lambda features: (features @ names.T).amax(dim=1).double()

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        return top_k(features, labels.positives, 1).values[:, 0]
