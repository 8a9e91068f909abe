"""What Debiased negative mining states: how dense the corpus is around a word, and the correction of a grouped score.

Source: Debiased negative mining, KDD 2026, https://arxiv.org/abs/2605.23797, as its code computes it.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ood_lightning.errors import SettingsError

_GRID = 2.0**40  # densities are rounded to multiples of 1 / _GRID, so that equal words tie in whichever block they are


def log_distances(
    words: Tensor,
    lengths: Tensor,
    neighbours: int,
    *,
    block: int = 64,
    on_progress: Callable[[int], object] = lambda n: None,
) -> Tensor:
    """How far each word is from its nearest ones: the mean of ``ln d`` over the k + 1 smallest d.

    ``d_ij = n_i + n_j - 2 u_i . u_j`` with lengths n and unit vectors u. It is no distance: lengths such as CLIP's,
    7 to 10, rule it, and a word need not be its own nearest one. Small values mean a dense region and
    **short vectors**. A word is never taken out of its own neighbours.

    Peak memory beside the inputs: a float64 copy of them, and about ``block * V * 16`` bytes; ``2 * V * V * D``
    operations in float64.

    Args:
        words: unit text features, shape ``(V, D)``.
        lengths: that they had before they were normalised, shape ``(V,)``.
        neighbours: k, below V.
        block: words per product.
        on_progress: called with the number of words that are done since the last call.

    Returns:
        float64, shape ``(V,)``, rounded to 2^-40; **smaller = denser**.

    Raises:
        ValueError: if k + 1 is more than V, or a d among the smallest is not above 0 and so has no logarithm.

    Example:
        >>> log_distances(torch.eye(3), torch.tensor([7.0, 7.0, 9.0]), 1)  # ln 12 and ln 14; ln 16 twice
        tensor([2.5620, 2.5620, 2.7726], dtype=torch.float64)
    """
    if not 1 <= neighbours < len(words):
        raise ValueError(f"{neighbours} neighbours of {len(words)} words: expected 1 to {len(words) - 1}")

    doubles, lengths = words.double(), lengths.double()
    means = []
    for rows in torch.arange(len(words), device=words.device).split(block):
        d = torch.addmm(lengths, doubles[rows], doubles.T, alpha=-2)  # (block, V)
        smallest = d.add_(lengths[rows, None]).topk(neighbours + 1, dim=1, largest=False, sorted=False).values
        if not (smallest > 0).all():
            raise ValueError(
                f"the distance of two words is {float(smallest.min()):.2g} and has no logarithm: the text features of "
                f"this encoder are too short for it (the shortest is {float(lengths.min()):.2g} long, CLIP's are 7 and "
                f"more)"
            )

        means.append(smallest.sort(dim=1).values.log().mean(dim=1))  # sorted, so that equal words get equal sums
        on_progress(len(rows))
    return (torch.cat(means) * _GRID).round() / _GRID


def correction(n_positives: int, group_size: int, true_share: float) -> float:
    """What the debiased score adds to the log-odds of positives against a group of negatives, in nats.

    The corpus is taken for a mixture, a share t of true negatives and 1 - t of ID words, and solved for the negatives.
    With the masses A of P positives and B of Q negatives that makes

        A / (a A + B / t),   a = 1 - Q (1 - t) / (t P),

    which is ``sigmoid(ln A - ln B + ln(a t)) / a``: a shift of the log-odds, of which the rest is the same for all
    images.

    Args:
        n_positives: P.
        group_size: Q.
        true_share: t, in (0, 1].

    Raises:
        SettingsError: if a is not above 0: then the score has a pole, and turns negative behind it.

    Example:
        >>> correction(1000, 120, 1.0), round(correction(1000, 120, 0.5), 4)  # 0 and ln(0.88 * 0.5)
        (0.0, -0.821)
    """
    a = 1 - group_size * (1 - true_share) / (true_share * n_positives)
    if a <= 0:
        largest = true_share * n_positives / (1 - true_share)
        raise SettingsError(
            f"groups of {group_size} negatives are too large for {n_positives} positives at a true_share of "
            f"{true_share}: the debiased score has a pole unless a group has less than Q_max = {largest:.4g}. Raise "
            f"groups (more and smaller ones), or true_share"
        )
    return math.log(a * true_share)
