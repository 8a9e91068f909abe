"""Shares of two samples: between which numbers their difference lies, for many kinds at once."""

from statistics import NormalDist
from typing import NamedTuple


class Difference(NamedTuple):
    """A difference of two shares, in [-1, 1].

    Attributes:
        value: observed.
        low: lower end of its interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def difference(k_before: int, n_before: int, k_after: int, n_after: int, confidence: float = 0.95) -> Difference:
    """Share after minus share before, with Newcombe's interval of Wilson's limits.

        p - q - sqrt( (p - l_p)^2 + (u_q - q)^2 ),   p - q + sqrt( (u_p - p)^2 + (q - l_q)^2 )

    p, q are the shares after and before, (l, u) Wilson's interval of each. The interval is approximate: its
    coverage is near the confidence also for small numbers, and no promise.

    Args:
        k_before: images of the kind before.
        n_before: all images before, at least 1.
        k_after: images of the kind after.
        n_after: all images after, at least 1.
        confidence: in (0, 1). To look at K kinds at once, ``1 - (1 - confidence) / K`` (Bonferroni).

    Source: Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17,
    1998, method 10.

    Example:
        >>> [round(end, 4) for end in difference(48, 80, 56, 70)]  # the paper's first example
        [0.2, 0.0524, 0.3339]
    """
    low_q, high_q = wilson(k_before, n_before, confidence)
    low_p, high_p = wilson(k_after, n_after, confidence)
    q, p = k_before / n_before, k_after / n_after

    down = ((p - low_p) ** 2 + (high_q - q) ** 2) ** 0.5
    up = ((high_p - p) ** 2 + (q - low_q) ** 2) ** 0.5
    return Difference(p - q, p - q - down, p - q + up)


def wilson(k: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share k / n, as of scipy's `binomtest`, without the test.

    Example:
        >>> [round(end, 4) for end in wilson(56, 70, 0.95)]
        [0.6918, 0.877]
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = (z2 * (k * (n - k) / n + z2 / 4)) ** 0.5 / (n + z2)
    return max(0.0, centre - half), min(1.0, centre + half)
