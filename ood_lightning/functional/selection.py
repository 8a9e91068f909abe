"""Which words are far enough from the positives to serve as negatives.

Source: NegLabel, Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078.
"""

import math

import torch
from torch import Tensor

_GRID = 2.0**40  # cosines are rounded to multiples of 1 / _GRID, so that equal words tie in whichever block they are


def quantile_cosine(
    candidates: Tensor, positives: Tensor, q: float = 0.95, *, interpolate: bool = True, block: int = 4096
) -> Tensor:
    """How similar each candidate is to the positives: the q-quantile of its cosines to them.

    A high quantile rather than the maximum, so that one misplaced positive does not exclude a word.
    Peak memory beside the inputs: about ``block * P * 24`` bytes.

    Args:
        candidates: unit text features, shape ``(V, D)``.
        positives: unit text features, shape ``(P, D)``.
        q: quantile in [0, 1]; 1 is the maximum.
        interpolate: linearly at the 0-based position ``q * (P - 1)`` of the ascending cosines, as NegLabel does;
            otherwise the value at position ``int(q * P)``, as OpenOOD-VLM does (950 of 0 to 999 for 1,000 positives).
        block: candidates per product.

    Returns:
        Cosines, float64, shape ``(V,)``, rounded to 2^-40.

    Raises:
        ValueError: if q lies outside [0, 1], there are no positives, or D differs.

    Example:
        >>> quantile_cosine(torch.eye(2)[:1], torch.eye(2), 0.5)
        tensor([0.5000], dtype=torch.float64)
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q is {q}, expected a fraction: 0.95, not 95")
    if candidates.ndim != 2 or positives.ndim != 2 or candidates.shape[1] != positives.shape[1] or not len(positives):
        raise ValueError(
            f"candidates {tuple(candidates.shape)} and positives {tuple(positives.shape)} must be (V, D) and (P, D) "
            f"with one D and at least one positive"
        )
    if block < 1:
        raise ValueError(f"block is {block}, expected at least 1")

    n = len(positives)
    position = q * (n - 1) if interpolate else min(int(q * n), n - 1)
    below, above = math.floor(position), math.ceil(position)

    texts = positives.double().T  # (D, P)
    # One (block, P) at a time; torch.quantile refuses over 16 million values.
    by_block = ((part.double() @ texts).sort(dim=1).values for part in candidates.split(block))
    quantiles = [torch.lerp(ranked[:, below], ranked[:, above], position - below) for ranked in by_block]
    return (torch.cat(quantiles) * _GRID).round() / _GRID


def farthest(distances: Tensor, count: int) -> Tensor:
    """The candidates least similar to the positives.

    Args:
        distances: what :func:`quantile_cosine` gave, shape ``(V,)``; **smaller = farther from the positives**.
        count: how many, 1 to V.

    Returns:
        Rows, int64, shape ``(count,)``, ascending in ``distances``; of equal ones the lowest row comes first.

    Raises:
        ValueError: if count is not in 1..V or a value is NaN.

    Example:
        >>> farthest(torch.tensor([0.3, 0.1, 0.2, 0.1]), 3)
        tensor([1, 3, 2])
    """
    if not 1 <= count <= len(distances):
        raise ValueError(f"count is {count}, expected 1 to {len(distances)} (the number of candidates)")
    if distances.isnan().any():
        raise ValueError(f"{int(distances.isnan().sum())} of {len(distances)} distances are NaN: they have no order")
    return distances.argsort(stable=True)[:count]


def shared_out(n_nouns: int, n_adjectives: int, *, share: float = 0.15, count: int | None = None) -> tuple[int, int]:
    """How many nouns and how many adjectives are kept.

    Args:
        n_nouns: candidates that are nouns.
        n_adjectives: candidates that are adjectives.
        share: of each kind, rounded down, as NegLabel does.
        count: of both kinds together, split in the candidates' proportion, adjectives rounded down, as OpenOOD-VLM
            does. None: by share.

    Raises:
        ValueError: if the share lies outside [0, 1], or count is more than there are candidates.

    Example:
        >>> shared_out(58_546, 11_454)
        (8781, 1718)
        >>> shared_out(58_101, 11_453, count=10_000)
        (8354, 1646)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, expected a fraction: 0.15, not 15")
    if count is None:
        return int(share * n_nouns), int(share * n_adjectives)
    if not 0 <= count <= n_nouns + n_adjectives:
        raise ValueError(f"count is {count}, expected at most {n_nouns + n_adjectives} (the number of candidates)")
    of_adjectives = count * n_adjectives // max(1, n_nouns + n_adjectives)
    return count - of_adjectives, of_adjectives


def farthest_by_part(
    distances: Tensor, is_adjective: Tensor, counts: tuple[int, int], *, adjectives_first: bool = False
) -> Tensor:
    """The nouns and the adjectives least similar to the positives, each kind ranked separately.

    Args:
        distances: what :func:`quantile_cosine` gave, shape ``(V,)``; **smaller = farther from the positives**.
        is_adjective: of each candidate, bool, shape ``(V,)``.
        counts: nouns and adjectives to keep.
        adjectives_first: the adjectives come before the nouns in the result.

    Returns:
        Rows, int64, shape ``(sum(counts),)``: one kind ascending in ``distances``, then the other.

    Raises:
        ValueError: as :func:`farthest`, for each kind.

    Example:
        >>> farthest_by_part(torch.tensor([0.3, 0.1, 0.2, 0.0]), torch.tensor([False, True, False, True]), (1, 2))
        tensor([2, 3, 1])
    """
    rows_by_kind = [of_kind.nonzero()[:, 0] for of_kind in (~is_adjective, is_adjective)]
    chosen = [
        rows[farthest(distances[rows], count)] if count else rows[:0]
        for rows, count in zip(rows_by_kind, counts, strict=True)
    ]
    return torch.cat(chosen[::-1] if adjectives_first else chosen)
