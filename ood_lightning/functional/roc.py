"""AUROC, AUPR and FPR95 of raw scores: exact, ties counted, nothing binned or squashed.

All take ``id_scores`` (n_id,) and ``ood_scores`` (n_ood,), any finite values, higher = more in-distribution, and give
float64 scalars in [0, 1]: fractions, not percent. All raise EmptySideError if a side holds no scores and
NotFiniteScoresError if one holds NaN or infinity. A strictly increasing transform of the scores changes none of them.
Each sorts the scores anew: where several are wanted, :class:`~ood_lightning.functional.ranked.RankedScores` sorts once.
"""

import torch
from torch import Tensor

from ood_lightning.functional.ranked import RankedScores


def auroc(id_scores: Tensor, ood_scores: Tensor) -> Tensor:
    """Chance that a random ID image outscores a random OOD image; a tie counts half.

    Args:
        id_scores: any finite values, shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: same scale, shape ``(n_ood,)``.

    Returns:
        float64 scalar in ``[0, 1]``; 0.5 is chance.

    Example:
        >>> auroc(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0]))
        tensor(0.8750, dtype=torch.float64)
    """
    return RankedScores.of(id_scores, ood_scores).auroc()


def aupr_in(id_scores: Tensor, ood_scores: Tensor) -> Tensor:
    """Area under precision over recall with ID as the positive class, by the step rule (average precision).

    Args:
        id_scores: shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: shape ``(n_ood,)``.

    Returns:
        float64 scalar in ``[0, 1]``; chance is ``n_id / (n_id + n_ood)``.

    Differs: OpenOOD joins the points by straight lines (trapezoid), which is another number on small sets.

    Example:
        >>> aupr_in(torch.tensor([0.9]), torch.tensor([0.1, 0.95]))
        tensor(0.5000, dtype=torch.float64)
    """
    return RankedScores.of(id_scores, ood_scores).aupr_in()


def aupr_out(id_scores: Tensor, ood_scores: Tensor) -> Tensor:
    """The same with OOD as the positive class and the scores negated, see :func:`aupr_in`.

    Args:
        id_scores: shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: shape ``(n_ood,)``.

    Returns:
        float64 scalar in ``[0, 1]``; chance is ``n_ood / (n_id + n_ood)``.

    Example:
        >>> aupr_out(torch.tensor([0.9]), torch.tensor([0.1, 0.95]))
        tensor(0.8333, dtype=torch.float64)
    """
    return RankedScores.of(id_scores, ood_scores).aupr_out()


def fpr_ood_at_id_tpr(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """Share of OOD images accepted by the strictest threshold that keeps at least ``tpr`` of the ID images.

    Args:
        id_scores: shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: shape ``(n_ood,)``.
        tpr: a fraction in (0, 1].

    Returns:
        float64 scalar in ``[0, 1]``; lower is better. Written ``fpr_ood@id_tpr95``.

    Raises:
        ValueError: if ``tpr`` is not a fraction.

    Example:
        >>> fpr_ood_at_id_tpr(torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.tensor([0.55, 0.4, 0.3]))
        tensor(0.3333, dtype=torch.float64)
    """
    return RankedScores.of(id_scores, ood_scores).fpr_ood_at_id_tpr(tpr)


def fpr_id_at_ood_tpr(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """Share of ID images rejected by the mildest threshold that catches at least ``tpr`` of the OOD images.

    The other FPR95 (OpenOOD, AdaNeg, InterNeg, ANTS): OOD is the positive class. It can differ by tens of points.

    Args:
        id_scores: shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: shape ``(n_ood,)``.
        tpr: a fraction in (0, 1].

    Returns:
        float64 scalar in ``[0, 1]``; lower is better. Written ``fpr_id@ood_tpr95``.

    Raises:
        ValueError: if ``tpr`` is not a fraction.

    Example:
        >>> fpr_id_at_ood_tpr(torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.tensor([0.55, 0.4, 0.3]))
        tensor(0.2000, dtype=torch.float64)
    """
    return RankedScores.of(id_scores, ood_scores).fpr_id_at_ood_tpr(tpr)


def roc_curve(ids: Tensor, oods: Tensor, points: int = 200) -> tuple[Tensor, Tensor]:
    """Shares of OOD and of ID images that each of some thresholds accepts, from accepting none to accepting all.

    Args:
        ids: scores, shape (n_id,); finite, higher = more in-distribution.
        oods: same scale, shape (n_ood,).
        points: at most so many thresholds, evenly spaced among the distinct scores.

    Returns:
        False positive rates and true positive rates, both ascending.

    Example:
        >>> fpr, tpr = roc_curve(torch.tensor([3.0, 1.0]), torch.tensor([2.0]))
        >>> fpr.tolist(), tpr.tolist()
        ([0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0])
    """
    thresholds = torch.cat([ids, oods]).double().unique().flip(0)
    if len(thresholds) > points:
        thresholds = thresholds[torch.linspace(0, len(thresholds) - 1, points).round().long()]

    rates = []
    for side in (oods, ids):
        accepted = len(side) - torch.searchsorted(side.double().sort().values, thresholds, side="left")
        rates.append(torch.cat([torch.zeros(1, dtype=torch.float64), accepted.double() / len(side)]))
    return rates[0], rates[1]
