"""FPR95 as published routines count it, to compare a number with a table; ours are in ``functional.roc``.

All take ``id_scores`` (n_id,) and ``ood_scores`` (n_ood,), higher = more in-distribution, and a ``tpr`` in (0, 1]; all
give a float64 scalar in [0, 1], lower is better, and raise what :mod:`ood_lightning.functional.roc` raises. ID is the
positive class except in ``openood``. On large sets without ties, the rules with ID positive agree to hundredths of a
point.
"""

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from ood_lightning.functional.ranked import RankedScores, check_fraction
from ood_lightning.functional.roc import fpr_id_at_ood_tpr, fpr_ood_at_id_tpr


def fpr_ood_stable(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """OOD images accepted where the ID recall comes **closest** to ``tpr``, even if it stays below.

    The rule of MCM, NegLabel, CSP and NegRefine. Of several thresholds with the same recall, the lowest counts.

    Example:
        >>> fpr_ood_stable(torch.arange(20) / 20, torch.tensor([0.0, 0.02, 0.5, 0.9]))
        tensor(0.7500, dtype=torch.float64)
    """
    check_fraction(tpr)
    caught, accepted = _counts_by_threshold(RankedScores.of(id_scores, ood_scores))

    first_full = int((caught == len(id_scores)).nonzero()[0])  # lower thresholds only let in more OOD
    # In floats on purpose: 0.9 and 1.0 are equally far from 0.95, and the published routine takes 0.9 by rounding.
    off = (caught[: first_full + 1].double() / len(id_scores) - tpr).abs()
    chosen = int((off == off.min()).nonzero()[-1])
    return accepted[chosen].double() / len(ood_scores)


def fpr_ood_interpolated(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """OOD images accepted at ID recall ``tpr`` on the ROC joined by straight lines.

    The rule of PLP and CLIPN: a rate between those of two neighbouring thresholds, so that perhaps no threshold has it.
    Where the ROC is level at ``tpr``, its largest FPR counts.

    Example:
        >>> fpr_ood_interpolated(torch.zeros(5), torch.zeros(3))
        tensor(0.9500, dtype=torch.float64)
    """
    check_fraction(tpr)
    caught, accepted = _counts_by_threshold(RankedScores.of(id_scores, ood_scores))
    recall = torch.cat([caught.new_zeros(1), caught]).double() / len(id_scores)
    fpr = torch.cat([accepted.new_zeros(1), accepted]).double() / len(ood_scores)

    left = int((recall <= tpr).nonzero()[-1])
    if left == len(recall) - 1:
        return fpr[-1]

    slope = (fpr[left + 1] - fpr[left]) / (recall[left + 1] - recall[left])
    return fpr[left] + slope * (tpr - recall[left])


def fpr_ood_strict(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """OOD images accepted by the strictest threshold that keeps **more** than ``tpr`` of the ID images.

    The rule of CLIPScope. At ``tpr`` 1, which no share exceeds, all ID images are kept.

    Example:
        >>> fpr_ood_strict(torch.arange(20.0), torch.tensor([0.0, 0.5, 9.0]))
        tensor(1., dtype=torch.float64)
    """
    check_fraction(tpr)
    ranked = RankedScores.of(id_scores, ood_scores)
    keep = min(int(Fraction(repr(float(tpr))) * len(id_scores)) + 1, len(id_scores))
    threshold = ranked.ids[len(id_scores) - keep]
    return (ranked.oods >= threshold).sum().double() / len(ood_scores)


def fpr_ood_at_rank(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """OOD images **above** the ID score at index ``round((1 - tpr) * n_id)``, counted from the lowest.

    The rule of SynOOD's and the kNN scores' tools. Ties with the threshold are rejected: equal scores give 0.

    Example:
        >>> fpr_ood_at_rank(torch.zeros(5), torch.zeros(3))
        tensor(0., dtype=torch.float64)
    """
    check_fraction(tpr)
    ranked = RankedScores.of(id_scores, ood_scores)
    index = round((1 - Fraction(repr(float(tpr)))) * len(id_scores))
    threshold = ranked.ids[min(index, len(id_scores) - 1)]
    return (ranked.oods > threshold).sum().double() / len(ood_scores)


def _counts_by_threshold(ranked: RankedScores) -> tuple[Tensor, Tensor]:
    """How many of each lie at or above every distinct score, from the highest score down; int64."""
    thresholds = torch.cat([ranked.ids, ranked.oods]).unique(sorted=True).flip(0)
    caught = len(ranked.ids) - torch.searchsorted(ranked.ids, thresholds, side="left")
    accepted = len(ranked.oods) - torch.searchsorted(ranked.oods, thresholds, side="left")
    return caught, accepted


# Name of each convention: the function, and the words of a table's caption.
CONVENTIONS: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], str]] = {
    "ours": (fpr_ood_at_id_tpr, "ID positive, strictest threshold that keeps at least 95 % of ID"),
    "stable": (fpr_ood_stable, "ID positive, recall closest to 95 %; MCM, GL-MCM, NegLabel, CSP, NegRefine"),
    "strict": (fpr_ood_strict, "ID positive, strictest threshold that keeps more than 95 % of ID; CLIPScope"),
    "interpolated": (fpr_ood_interpolated, "ID positive, ROC joined by straight lines at 95 %; PLP, CLIPN"),
    "rank": (fpr_ood_at_rank, "ID positive, OOD above the ID score at index round(0.05 n); SynOOD, kNN-OOD"),
    "openood": (fpr_id_at_ood_tpr, "OOD positive, fpr_id@ood_tpr95: ID rejected while 95 % of OOD are caught; OpenOOD"),
}
