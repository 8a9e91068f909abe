"""What ANTS cuts its stream by: where the histogram of all scores steps most, and a percentile below that step."""

import torch
from torch import Tensor

_BINS = 10


def steepest_edge(shares: Tensor) -> float:
    """The edge between the two neighbouring bins of ten in [0, 1] whose counts differ most; the first of equal ones.

    Args:
        shares: in [0, 1], shape (n,).

    Source: ANTS, 2025, https://arxiv.org/abs/2509.03951, and its code.

    Example:
        >>> steepest_edge(torch.tensor([0.05, 0.31, 0.32, 0.33, 0.95]))
        0.3
    """
    edges = torch.linspace(0, 1, _BINS + 1, dtype=torch.float64, device=shares.device)
    bins = torch.searchsorted(edges[1:-1], shares.double().contiguous(), right=True)  # the last one holds 1 too
    counts = bins.bincount(minlength=_BINS)
    return round(float(edges[1 + int(counts.diff().abs().argmax())]), 1)


def threshold_below(shares: Tensor, part: float) -> float:
    """The share below which a part of those images lies that are below :func:`steepest_edge`; of all if none are.

    Args:
        shares: in [0, 1], shape (n,), at least one.
        part: in [0, 1].

    Example:
        >>> round(threshold_below(torch.tensor([0.1, 0.2, 0.3, 0.97, 0.98, 0.99]), 0.5), 3)
        0.2
    """
    shares = shares.double()
    below = shares[shares < steepest_edge(shares)]
    ranked = (below if len(below) else shares).sort().values

    at = part * (len(ranked) - 1)  # torch.quantile takes no more than 16 million numbers
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return float(torch.lerp(ranked[low], ranked[high], at - low))
