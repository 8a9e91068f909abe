"""How far AUROC and FPR95 would move on other samples of such pictures: intervals and paired comparisons."""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.roc import check_fraction, checked


class Resampled(NamedTuple):
    """Metrics of every resample.

    Attributes:
        auroc: float64, shape (R,).
        fpr_ood_at_id_tpr: float64, shape (R,).
    """

    auroc: Tensor
    fpr_ood_at_id_tpr: Tensor


def resampled(
    id_scores: Tensor, ood_scores: Tensor, *, resamples: int = 1000, seed: int = 0, tpr: float = 0.95
) -> Resampled:
    """Metrics of sets drawn with replacement from both sides, each side at its own size.

    The draws depend on the seed and the two sizes alone, so that two detectors on the same sets are measured on the
    same resamples. Scores are ranked once; a resample costs one pass over counts, not a sort.

    Args:
        id_scores: raw, finite, shape (n_id,); higher = more in-distribution.
        ood_scores: same scale, shape (n_ood,).
        resamples: R.
        seed: of the draws.
        tpr: share of ID images kept, in (0, 1].

    Raises:
        EmptySideError, NotFiniteScoresError: as in :mod:`ood_lightning.functional.roc`.
        ValueError: if there are no resamples or tpr is no fraction.
    """
    id_scores, ood_scores = checked(id_scores, ood_scores)
    check_fraction(tpr)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected 1 or more")
    _, place = torch.cat([id_scores, ood_scores]).cpu().unique(return_inverse=True)  # rank of each score, ties shared
    n_id, n_ood, n_ranks = len(id_scores), len(ood_scores), int(place.max()) + 1
    kept = -(-round(tpr * 1_000_000) * n_id // 1_000_000)  # ceil(tpr * n_id) without float error
    draw = torch.Generator().manual_seed(seed)
    aurocs, fprs = [], []
    for _ in range(resamples):
        ids = place[torch.randint(n_id, (n_id,), generator=draw)].bincount(minlength=n_ranks)
        oods = place[n_id + torch.randint(n_ood, (n_ood,), generator=draw)].bincount(minlength=n_ranks)
        below = oods.cumsum(0) - oods
        aurocs.append((ids * (2 * below + oods)).sum())
        # the strictest rank with at least `kept` ID images at or above it
        at_or_above = ids.flip(0).cumsum(0)
        threshold = n_ranks - 1 - int(torch.searchsorted(at_or_above, kept))
        fprs.append(oods[threshold:].sum())
    return Resampled(
        torch.stack(aurocs).double() / (2 * n_id * n_ood),
        torch.stack(fprs).double() / n_ood,
    )


def interval(values: Tensor, coverage: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values.

    Example:
        >>> interval(torch.arange(101.0), 0.9)
        (5.0, 95.0)
    """
    check_fraction(coverage)
    tail = (1 - coverage) / 2
    low, high = values.double().quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return round(low, 12), round(high, 12)


def paired_p_value(first: Tensor, second: Tensor) -> float:
    """Two-sided bootstrap p-value of 'both detectors are equally good', from metrics on the same resamples.

    Twice the smaller share of resamples in which one is not better than the other, never below 2 / (R + 1).

    Args:
        first: metric of one detector on each resample, shape (R,).
        second: of the other, on the same resamples.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> paired_p_value(torch.tensor([0.9, 0.8, 0.9]), torch.tensor([0.7, 0.7, 0.8]))
        0.5
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"{tuple(first.shape)} and {tuple(second.shape)}: expected the same resamples, (R,) each")
    difference = first.double() - second.double()
    smaller = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(difference) + 1))
