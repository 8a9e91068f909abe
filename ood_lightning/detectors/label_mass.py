"""LabelMass: does CLIP see a positive rather than a negative? Equation 1 of ClusterMine.

    S(x) = sigmoid( log sum_P exp(s c(x, y)) - log sum_N exp(s c(x, y)) ),   s = sharpness * logit_scale

ClusterMine and PosMine are this score on label sets mined from images; on true names it is NegLabel without groups.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, equation 1.
Differs: the log-odds are returned, strictly monotone in S; S itself rounds to 1 and ties.
Expected: ImageNet, ViT-H-14 dfn5b, WordNet NA, mean AUROC / FPR95 94.56 / 25.26 (ClusterMine), 94.46 / 26.41 (PosMine).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.functional.log_sum_exp import traceable_log_sum_exp
from ood_lightning.functional.similarity import log_mass
from ood_lightning.ranges import Positive


@dataclass(frozen=True)
class LabelMass(LabelDetector):
    """Log-odds of the positives against the negatives, in nats.

    Args:
        labels: name of the label set.
        sharpness: times the encoder's own logit_scale. 10 is the literal reading of the paper's 'temperature 10 times
            smaller than in pretraining'; 1 is what NegLabel and its descendants do; 0.1 would be a multiplier 10 times
            smaller, under which 79,000 negatives outweigh any match.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "clustermine"
    sharpness: Positive = 10.0

    def bind(self, evidence: Evidence) -> Scorer:
        """The score on the label set that `labels` names; sets of one corpus share its product with the images."""
        ready = evidence.label_sets[self.labels]
        scale = self.sharpness * ready.logit_scale
        positives, negatives = ready.positives.log_mass(scale), ready.negatives.log_mass(scale)
        return lambda features: positives(features) - negatives(features)

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        positives, negatives, logit_scale = evidence.labels(self.labels)
        scale = self.sharpness * logit_scale

        def score(features: Tensor) -> Tensor:
            id_mass, ood_mass = (traceable_log_sum_exp(features @ side.T, scale) for side in (positives, negatives))
            return id_mass - ood_mass

        return score

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        scale = self.sharpness * labels.logit_scale
        return log_mass(features, labels.positives, scale) - log_mass(features, labels.negatives, scale)
