"""Debiased: NegLabel's grouped share, where a part of each group of negatives is taken for ID words after all.

    S(x) = 1/P mean_g  A / ( a A + B_g / t ),   a = 1 - Q (1 - t) / (t P)
    A = sum_P exp(s c(x, y)),   B_g = sum_{N_g} exp(s c(x, y)),   Q negatives in a group

t is the share of true negatives in the mined list: it is taken for a mixture of them and of ID words. With t = 1 the
score is NegLabel's over P. With one group it ranks as equation 1 for any t, so the correction acts through the mean
over groups alone, and most of the method is its negatives (`label_sets/debiased.py`).

Source: Debiased negative mining, KDD 2026, https://arxiv.org/abs/2605.23797, and its code; the paper's text was not at
    hand, the formula is that of the code.
Differs: returned are the log-odds of P a S, strictly monotone in S; S itself ties where it rounds to 1 / (P a). a <= 0,
    where the code's score has a pole, is refused. One permutation for all sets, the first that the code draws; it
    draws another for each OOD set, so that ID scores change from set to set. Sums are float64.
Expected: the repository has no table. Third parties quote ImageNet, ViT-B/16, FPR95 (`fpr_ood@id_tpr95`, ID positive)
    of 1.78 on iNaturalist and 16.9 on SUN.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from ood_lightning.detectors.base import LabelDetector, Scorer
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.functional.debiased import correction
from ood_lightning.functional.grouping import group_members, mean_share_log_odds
from ood_lightning.functional.similarity import log_mass, log_masses
from ood_lightning.ranges import Count, Positive, Range, Seed


@dataclass(frozen=True)
class Debiased(LabelDetector):
    """Log-odds, in nats, of the debiased share of the positives; ``sigmoid(score) / (P a)`` is the code's score.

    Args:
        labels: name of a label set with negatives, the densest first.
        groups: G; the last `N mod G` negatives are dropped, as the code does. Q = N // G must be below t P / (1 - t).
        permutation_seed: of the shuffle before grouping (50 in the code); None keeps the order.
        true_share: t. The code has 0.5 for ViT-B/16, ViT-L/14 and RN50, and 0.12 for ViT-B/32 and ViT-L/14@336.
        sharpness: times the encoder's own logit_scale.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "debiased"
    groups: Count = 100
    permutation_seed: Seed | None = 50
    true_share: Annotated[float, Range(0, 1, without_low=True)] = 0.5
    sharpness: Positive = 1.0

    def bind(self, evidence: Evidence) -> Scorer:
        """The score on the label set that `labels` names; groups that are too large are refused before any image."""
        self._members(evidence.labels(self.labels))
        return super().bind(evidence)

    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,)."""
        members, shift = self._members(labels)
        members = members.to(features.device)

        scale = self.sharpness * labels.logit_scale
        positives = log_mass(features, labels.positives, scale)[:, None]
        return mean_share_log_odds(positives - log_masses(features, labels.negatives, scale, groups=members) + shift)

    def _members(self, labels: LabelFeatures) -> tuple[Tensor, float]:
        """Rows of each group of negatives, (G, Q), and what is added to the log-odds."""
        members = group_members(len(labels.negatives), self.groups, self.permutation_seed)
        return members, correction(len(labels.positives), members.shape[1], self.true_share)
