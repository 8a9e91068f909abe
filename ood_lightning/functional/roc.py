"""AUROC, AUPR and FPR95 of raw scores: exact, ties counted, nothing binned or squashed.

All take ``id_scores`` (n_id,) and ``ood_scores`` (n_ood,), any finite values, higher = more in-distribution, and give
float64 scalars in [0, 1]: fractions, not percent. All raise EmptySideError if a side holds no scores and
NotFiniteScoresError if one holds NaN or infinity. A strictly increasing transform of the scores changes none of them.
"""

import math
from fractions import Fraction

import torch
from torch import Tensor

from ood_lightning.errors import EmptySideError, NotFiniteScoresError


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
    id_scores, ood_scores = as_float64_scores(id_scores, ood_scores)
    ranked = ood_scores.sort().values
    beaten = torch.searchsorted(ranked, id_scores, side="left").sum()
    beaten_or_tied = torch.searchsorted(ranked, id_scores, side="right").sum()
    return (beaten + beaten_or_tied).double() / (2 * len(id_scores) * len(ood_scores))  # counts: exact to the division


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
    return _average_precision(*as_float64_scores(id_scores, ood_scores))


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
    id_scores, ood_scores = as_float64_scores(id_scores, ood_scores)
    return _average_precision(-ood_scores, -id_scores)


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
    return _fpr(*as_float64_scores(id_scores, ood_scores, tpr), tpr)


def fpr_id_at_ood_tpr(id_scores: Tensor, ood_scores: Tensor, tpr: float = 0.95) -> Tensor:
    """Share of ID images rejected by the mildest threshold that catches at least ``tpr`` of the OOD images.

    The other FPR95 (OpenOOD, AdaNeg, InterNeg): OOD is the positive class. It can differ by tens of points.

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
    id_scores, ood_scores = as_float64_scores(id_scores, ood_scores, tpr)
    return _fpr(-ood_scores, -id_scores, tpr)


def _fpr(positives: Tensor, others: Tensor, tpr: float) -> Tensor:
    """Share of ``others`` at or above the highest threshold that keeps ``tpr`` of the positives."""
    threshold = positives.sort(descending=True).values[n_kept(tpr, len(positives)) - 1]
    return (others >= threshold).sum().double() / len(others)


def _average_precision(positives: Tensor, others: Tensor) -> Tensor:
    """``sum_t (recall_t - recall_{t-1}) * precision_t`` over the distinct thresholds t, from the highest down."""
    caught, accepted = counts_by_threshold(positives, others)
    gained = torch.cat([caught[:1], caught.diff()]).double()
    return (gained * (caught.double() / (caught + accepted))).sum() / len(positives)


def counts_by_threshold(positives: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """How many of each lie at or above every distinct score, from the highest score down; int64."""
    thresholds = torch.cat([positives, others]).unique(sorted=True).flip(0)
    caught = len(positives) - torch.searchsorted(positives.sort().values, thresholds, side="left")
    accepted = len(others) - torch.searchsorted(others.sort().values, thresholds, side="left")
    return caught, accepted


def n_kept(tpr: float, n: int) -> int:
    """The smallest number of images that is at least a share `tpr` of `n`, a fraction.

    Example:
        >>> n_kept(0.95, 20), n_kept(0.95, 21)
        (19, 20)
    """
    # From the decimal as written: in floats 0.07 * 100 is 7.000000000000001, whose ceil is 8.
    return math.ceil(Fraction(repr(float(tpr))) * n)


def as_float64_scores(id_scores: Tensor, ood_scores: Tensor, tpr: float = 1.0) -> tuple[Tensor, Tensor]:
    """Both sides as contiguous float64; refuses what cannot be ranked, and a ``tpr`` that is no fraction.

    Raises:
        EmptySideError: if a side holds no scores.
        NotFiniteScoresError: if a score is NaN or infinite.
        ValueError: if a side has more than one dimension, or none, or ``tpr`` is not a fraction.
    """
    if id_scores.ndim != 1 or ood_scores.ndim != 1:
        raise ValueError(f"scores have shapes {tuple(id_scores.shape)} and {tuple(ood_scores.shape)}, expected one dim")
    if not len(id_scores) or not len(ood_scores):
        raise EmptySideError(len(id_scores), len(ood_scores))

    for name, scores in (("ID", id_scores), ("OOD", ood_scores)):
        if bad := int((~scores.isfinite()).sum()):
            raise NotFiniteScoresError(
                f"{bad} of {len(scores)} {name} scores are NaN or infinite and cannot be ranked: look for "
                f"half-precision overflow or a zero feature vector where they were made"
            )

    check_fraction(tpr)
    # contiguous: searchsorted would copy a column of a table each time
    return id_scores.detach().double().contiguous(), ood_scores.detach().double().contiguous()


def check_fraction(tpr: float) -> None:
    """Refuse what is no fraction in (0, 1], above all percent."""
    if not 0 < tpr <= 1:
        raise ValueError(f"tpr is {tpr}, expected a fraction in (0, 1]: 0.95, not 95")
