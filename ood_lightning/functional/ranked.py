"""ID and OOD scores sorted once, and the five metrics that read them so: AUROC, both AUPRs and both FPR95s.

Beside the scores this holds their sorted copies, ``8 * (n_id + n_ood)`` bytes; the metrics go through these in blocks
and need no memory of note. Counts are integers, and sums of fractions run in an order that neither threads nor ties
change.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch
from torch import Tensor

from ood_lightning.errors import EmptySideError, NotFiniteScoresError

BLOCK = 16_384  # scores at once: they stay in the cache, and torch splits no sum of so few over threads


@dataclass(frozen=True)
class RankedScores:
    """Both sides of one pair of sets, from the lowest score up; made by :meth:`of`.

    Attributes:
        ids: float64, shape ``(n_id,)``; higher = more in-distribution.
        oods: same scale, shape ``(n_ood,)``.
    """

    ids: Tensor
    oods: Tensor

    @classmethod
    def of(cls, id_scores: Tensor, ood_scores: Tensor) -> Self:
        """Sort both sides.

        Args:
            id_scores: any finite values, shape ``(n_id,)``; higher = more in-distribution.
            ood_scores: same scale, shape ``(n_ood,)``.

        Raises:
            EmptySideError: if a side holds no scores.
            NotFiniteScoresError: if a score is NaN or infinite.
            ValueError: if a side has more than one dimension, or none.
        """
        return cls(*map(_ascending, as_float64_scores(id_scores, ood_scores)))

    def auroc(self) -> Tensor:
        """See :func:`ood_lightning.functional.roc.auroc`."""
        beaten = beaten_or_tied = 0
        for block in self.ids.split(BLOCK):
            beaten += int(torch.searchsorted(self.oods, block, side="left").sum())
            beaten_or_tied += int(torch.searchsorted(self.oods, block, side="right").sum())

        halves = torch.tensor(beaten + beaten_or_tied).double()  # counts: exact to the division
        return halves / (2 * len(self.ids) * len(self.oods))

    def aupr_in(self) -> Tensor:
        """See :func:`ood_lightning.functional.roc.aupr_in`."""
        n_id, n_ood = len(self.ids), len(self.oods)
        sums = []
        for block in _from_the_end(self.ids):
            caught = n_id - torch.searchsorted(self.ids, block, side="left")
            accepted = n_ood - torch.searchsorted(self.oods, block, side="left")
            sums.append(_sum_of_precisions(caught, accepted))

        return torch.tensor(math.fsum(sums) / n_id, dtype=torch.float64)

    def aupr_out(self) -> Tensor:
        """See :func:`ood_lightning.functional.roc.aupr_out`."""
        sums = []
        for block in self.oods.split(BLOCK):
            caught = torch.searchsorted(self.oods, block, side="right")
            accepted = torch.searchsorted(self.ids, block, side="right")
            sums.append(_sum_of_precisions(caught, accepted))

        return torch.tensor(math.fsum(sums) / len(self.oods), dtype=torch.float64)

    def fpr_ood_at_id_tpr(self, tpr: float = 0.95) -> Tensor:
        """See :func:`ood_lightning.functional.roc.fpr_ood_at_id_tpr`."""
        check_fraction(tpr)
        threshold = id_threshold(self.ids, tpr)
        accepted = len(self.oods) - torch.searchsorted(self.oods, threshold, side="left")
        return accepted.double().cpu() / len(self.oods)

    def fpr_id_at_ood_tpr(self, tpr: float = 0.95) -> Tensor:
        """See :func:`ood_lightning.functional.roc.fpr_id_at_ood_tpr`."""
        check_fraction(tpr)
        threshold = self.oods[n_kept(tpr, len(self.oods)) - 1]
        rejected = torch.searchsorted(self.ids, threshold, side="right")
        return rejected.double().cpu() / len(self.ids)


def _ascending(scores: Tensor) -> Tensor:
    if not scores.is_cpu:
        return scores.sort().values
    ascending = scores.clone()
    ascending.numpy().sort()  # in place; torch sorts positions along: 4 times slower, and 3 times the memory
    return ascending


def _from_the_end(scores: Tensor) -> Iterator[Tensor]:
    """Blocks from the last score to the first, so that swapped sides with opposite signs add up in one order."""
    for stop in range(len(scores), 0, -BLOCK):
        yield scores[max(stop - BLOCK, 0) : stop].flip(0)


def _sum_of_precisions(caught: Tensor, accepted: Tensor) -> float:
    """Of each positive, the precision at its score as the threshold: equal scores share one threshold, so one value."""
    return float((caught.double() / (caught + accepted)).sum())


def id_threshold(ids: Tensor, tpr: float = 0.95) -> Tensor:
    """The strictest threshold that keeps at least a share of the ID images: scores from it on are accepted.

    Args:
        ids: scores in ascending order, shape ``(n_id,)``.
        tpr: the share, a fraction.

    Example:
        >>> id_threshold(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.75)
        tensor(2.)
    """
    return ids[len(ids) - n_kept(tpr, len(ids))]


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
