"""Otsu's threshold: where a mixture of two kinds of scores is cut with the least variance inside the parts."""

import torch
from torch import Tensor


def otsu_threshold(scores: Tensor, steps: int = 100) -> float:
    """The candidate among ``0, 1/steps, ..., 1 - 1/steps`` that leaves the least variance within the two parts.

    Args:
        scores: in [0, 1], shape (n,), at least one.
        steps: candidates.

    Returns:
        A threshold; scores above it are one part, the others the other. Of candidates that part alike, the middle one.

    Source: Otsu, IEEE Trans. SMC 1979; the grid and the tie as in TANL's code.

    Example:
        >>> otsu_threshold(torch.tensor([0.1, 0.1, 0.7]))
        0.4
    """
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"{len(scores)} scores, expected at least one and all in [0, 1]")
    ranked = scores.double().sort().values
    candidates = torch.arange(steps, dtype=torch.float64, device=scores.device) / steps
    below = torch.searchsorted(ranked, candidates, side="right")
    centred = ranked - ranked.mean()  # the sums of squares below then cancel less
    zero = centred.new_zeros(1)
    total, squares = (torch.cat([zero, part.cumsum(dim=0)]) for part in (centred, centred.square()))
    above = len(ranked) - below
    within = squares[-1] - total[below].square() / below.clamp(min=1)
    within = within - (total[-1] - total[below]).square() / above.clamp(min=1)
    best = (within == within.min()).nonzero()[:, 0]  # equal parts have bit-equal sums
    return float(candidates[best[len(best) // 2]])
