"""Groups of images that are nearly the same: connected components of the graph of high cosines, a block at a time."""

import torch
from torch import Tensor

from ood_lightning.functional.products import product
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import unit

_ROWS, _COLUMNS = 1024, 2048  # of a block of cosines: 8 MiB, and some 100 MiB of pairs where all are near
_ROUNDING = 1e-6  # of a cosine in float32: copies of one image reach 1


def near_groups(features: FeatureRows, min_cosine: float) -> Tensor:
    """The group of each image: all that a chain of images leads to, each near the next one.

    Args:
        features: of shape ``(n, D)``; their lengths may be rounded.
        min_cosine: from which on two images are near, in (0, 1]; a millionth less is enough.

    Returns:
        int64 of shape ``(n,)``: of each image the first row of its group.

    Raises:
        ValueError: a feature has no direction, or the cosine is outside of its range.

    Example:
        >>> near_groups(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.99, 0.1]]), 0.98)
        tensor([0, 1, 0])
    """
    if not 0 < min_cosine <= 1:
        raise ValueError(f"min_cosine is {min_cosine}: expected a number in (0, 1]")

    n = len(features)
    group = torch.arange(n, device=features.device)
    for start in range(0, n, _ROWS):
        rows = unit(features[start : start + _ROWS])
        for first in range(start, n, _COLUMNS):  # the other half holds the same pairs
            similar = product(rows, unit(features[first : first + _COLUMNS])) >= min_cosine - _ROUNDING
            row, column = similar.nonzero(as_tuple=True)
            group = joined_groups(group, row + start, column + first)
    return group


def joined_groups(group: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """The groups after some pairs of images were put into one group each.

    Args:
        group: int64 of shape ``(n,)``, of each image the first row of its group.
        one: rows of images, shape ``(pairs,)``.
        other: the other row of each pair.

    Returns:
        int64 of shape ``(n,)``, in the same form.

    Example:
        >>> joined_groups(torch.arange(5), torch.tensor([3, 4]), torch.tensor([4, 1]))
        tensor([0, 1, 2, 1, 1])
    """
    while True:
        low, high = torch.minimum(group[one], group[other]), torch.maximum(group[one], group[other])
        if torch.equal(low, high):
            return group

        group = group.scatter_reduce(0, high, low, "amin")  # the first row of a group now points to an earlier one
        while not torch.equal(group[group], group):  # until all point to the first row of the whole
            group = group[group]
