"""Otsu's threshold: the cut between two kinds of scores that leaves the least variance inside the two parts."""

import torch
from torch import Tensor


def otsu_threshold(scores: Tensor, steps: int = 100) -> float:
    """The cut t among ``0, 1/steps, ..., 1 - 1/steps`` with the smallest variance inside the two parts.

    ``sum_{s <= t} (s - mean)^2 + sum_{s > t} (s - mean)^2``, each part with its own mean, is what is made smallest.

    Args:
        scores: in [0, 1], shape (n,), at least one.
        steps: number of candidates.

    Returns:
        A threshold: scores above it are one part, the rest is the other. Where several candidates give the same parts,
        the middle one of them.

    Source: Otsu, IEEE Trans. SMC 1979; the grid and the tie as in TANL's code.

    Example:
        >>> otsu_threshold(torch.tensor([0.1, 0.1, 0.7]))
        0.4
    """
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"{len(scores)} scores, expected at least one and all in [0, 1]")

    ranked = scores.double().sort().values
    candidates = torch.arange(steps, dtype=torch.float64, device=scores.device) / steps
    below = torch.searchsorted(ranked, candidates, side="right")  # scores in the lower part, of each candidate
    above = len(ranked) - below

    # A part's sum of squares about its mean is its sum of squares minus (its sum)^2 / (its size).
    centred = ranked - ranked.mean()  # so that these differences cancel fewer digits
    sums = torch.cat([centred.new_zeros(1), centred.cumsum(dim=0)])  # of the 0, 1, 2, ... lowest scores
    sum_of_squares = torch.cat([centred.new_zeros(1), centred.square().cumsum(dim=0)])[-1]
    within = sum_of_squares - sums[below].square() / below.clamp(min=1)
    within = within - (sums[-1] - sums[below]).square() / above.clamp(min=1)

    best = (within == within.min()).nonzero()[:, 0]  # equal parts have bit-equal sums
    return float(candidates[best[len(best) // 2]])
