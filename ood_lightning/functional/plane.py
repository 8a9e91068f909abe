"""A picture of vectors in two dimensions, and a band around an empirical distribution."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Plane(NamedTuple):
    """Vectors seen in the two directions in which they differ most.

    Attributes:
        points: float64, shape ``(n, 2)``.
        explained: share of their variance that these two directions hold, in [0, 1].
    """

    points: Tensor
    explained: float


def principal_plane(features: Tensor) -> Plane:
    """Coordinates along the first two principal components.

    Of unit vectors this is classical scaling of their cosines, so that near means similar as far as two dimensions can
    say it. The signs are fixed: the largest coordinate of each axis, in absolute value, is positive.

    Args:
        features: shape ``(n, D)``, n at least 1.

    Example:
        >>> principal_plane(torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]])).points
        tensor([[-1.0000, -0.3333],
                [ 1.0000, -0.3333],
                [ 0.0000,  0.6667]], dtype=torch.float64)
    """
    centred = features.double() - features.double().mean(dim=0)
    left, singular, _ = torch.linalg.svd(centred, full_matrices=False)
    axes = (left * singular)[:, :2]
    points = torch.zeros(len(features), 2, dtype=torch.float64)
    points[:, : axes.shape[1]] = axes.cpu()

    largest = points.gather(0, points.abs().argmax(dim=0, keepdim=True))  # (1, 2)
    points = points * torch.where(largest < 0, -1.0, 1.0) + 0.0  # + 0.0: no -0.0
    variance = float(singular.square().sum())
    return Plane(points, float(singular[:2].square().sum()) / variance if variance else 1.0)


def band_half_width(n: int, level: float = 0.95) -> float:
    """How far an empirical distribution of n values lies from the true one, everywhere at once, at most.

    ``sqrt(log(2 / (1 - level)) / (2 n))``: the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant.
    It holds for any distribution and any n, and is wider than intervals of single points.

    Args:
        n: independent values.
        level: chance that it holds.

    Source: Massart, Annals of Probability 18(3), 1990.

    Example:
        >>> round(band_half_width(1000), 4)
        0.0429
    """
    if n < 1 or not 0 < level < 1:
        raise ValueError(f"{n} values at level {level}: expected one value or more, and a level such as 0.95")
    return math.sqrt(math.log(2 / (1 - level)) / (2 * n))
