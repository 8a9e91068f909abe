"""Where a saturating curve bends: the point farthest from its chord. Needs no torch.

Source: Satopaa et al., ICDCS workshops 2011 (Kneedle), in its simplest form. ClusterMine
(https://arxiv.org/abs/2511.07068) proposes the elbow of labels per cluster, |P| / C, over C, and gives no formula; this
one is ours.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

FEWEST = 5  # points: among fewer, one is nearly always far from the chord


class Elbow(NamedTuple):
    """The bend of a curve.

    Attributes:
        at: index of the point.
        distances: of every point from the chord, both axes scaled to [0, 1]; positive below it, negative above.
    """

    at: int
    distances: tuple[float, ...]


def elbow(x: Sequence[float], y: Sequence[float]) -> Elbow:
    """The point farthest from the chord between the first and the last point; of equally far ones the earliest.

    Both axes are scaled to [0, 1] first. Where ``Y(a)`` is the chord's height at ``a`` and ``m`` its slope, the point
    ``(a, b)`` lies ``(Y(a) - b) / sqrt(1 + m^2)`` below it.

    Args:
        x: strictly ascending, such as numbers of clusters; at least five.
        y: a value for each x, such as labels per cluster.

    Raises:
        ValueError: if there are fewer points, x does not ascend, a value is not finite, or all points lie on a line.

    Example:
        >>> elbow([1, 2, 3, 4, 5], [1.0, 0.4, 0.3, 0.2, 0.1]).at
        1
    """
    if len(x) != len(y) or len(x) < FEWEST:
        raise ValueError(f"{len(x)} x and {len(y)} y: at least {FEWEST} points are needed")
    if not all(math.isfinite(v) for v in (*x, *y)) or any(b <= a for a, b in pairwise(x)):
        raise ValueError("x must ascend strictly, and all values must be finite")

    low, high = min(y), max(y)
    if high == low:
        raise ValueError(f"y is {low} everywhere: the curve has no bend")

    across = [(v - x[0]) / (x[-1] - x[0]) for v in x]
    up = [(v - low) / (high - low) for v in y]
    slope = up[-1] - up[0]

    below = [(up[0] + slope * a - b) / math.hypot(1, slope) for a, b in zip(across, up, strict=True)]
    # 12 digits: points on a straight line are all equally far, and rounding must not choose one. + 0.0: no -0.0.
    distances = [round(distance, 12) + 0.0 for distance in below]
    sizes = [abs(d) for d in distances]
    if not any(sizes):
        raise ValueError("all points lie on one line: the curve has no bend")
    return Elbow(sizes.index(max(sizes)), tuple(distances))
