"""NegLabel: the share of the ID names against negative labels, averaged over groups of negatives.

    S(x) = mean_g  sum_P exp(s c(x, y)) / ( sum_P exp(s c(x, y)) + sum_{N_g} exp(s c(x, y)) )

Source: Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078 and its code.
Differs: the log-odds of that mean are returned, which rank like it and do not tie where it rounds to 1; further
    differences stand in functional/grouping.py.
Expected: ImageNet, ViT-B/16, mean AUROC / FPR95 over iNaturalist, SUN, Places, Textures 94.21 / 25.40.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.errors import DetectorError
from ood_lightning.functional.grouping import group_members, grouped_log_odds, mean_share_log_odds
from ood_lightning.functional.half import grouped_share_half
from ood_lightning.functional.log_sum_exp import traceable_log_sum_exp
from ood_lightning.ranges import Count, Positive, Seed


@dataclass(frozen=True)
class NegLabel(LabelDetector):
    """Log-odds, in nats, of the mean share of the positives over groups of negatives.

    Args:
        labels: name of a label set with negatives, ordered from the least similar one on.
        groups: G; the last `N mod G` negatives are dropped, as the official code does. 1: no grouping.
        permutation_seed: of the shuffle before grouping (`seed 0` in the official code); None keeps the order.
        sharpness: times the encoder's own logit_scale.
        half: return the share itself, rounded to float16 after every step as in OpenOOD-VLM's code (`fp16` of its
            CLIP), see functional/half.py; many images then tie at 1. Only to compare with its numbers.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "neglabel"
    groups: Count = 100
    permutation_seed: Seed | None = 0
    sharpness: Positive = 1.0
    half: bool = False

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        if self.half:
            raise DetectorError("NegLabel with `half` cannot be exported: its rounding after every step is no graph's")
        positives, negatives, logit_scale = evidence.labels(self.labels)
        scale = self.sharpness * logit_scale
        members = group_members(len(negatives), self.groups, self.permutation_seed)  # (G, n)
        grouped = negatives[members.flatten()]  # a copy, so that the graph gathers nothing

        def score(features: Tensor) -> Tensor:
            to_groups = (features @ grouped.T).unflatten(1, members.shape)  # (B, G, n)
            odds = traceable_log_sum_exp(features @ positives.T, scale)[:, None] - traceable_log_sum_exp(
                to_groups, scale
            )
            return mean_share_log_odds(odds)

        return score

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        scale = self.sharpness * labels.logit_scale
        score = grouped_share_half if self.half else grouped_log_odds
        return score(features, labels.positives, labels.negatives, scale, self.groups, self.permutation_seed)
