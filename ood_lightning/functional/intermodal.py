"""Which texts stay farther from the ID images of every class than the class's own name does.

Source: Xu et al., CVPR 2026 ("Mind the Way You Select Negative Texts"), and its code,
https://github.com/ZhikangXu0112/InterNeg.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.similarity import unit

_GRID = 2.0**40  # differences are rounded to it, so that the class's own name is never below itself


class ClassBounds(NamedTuple):
    """How like its own images each class name is.

    Attributes:
        prototypes: unit mean image feature of each class that has images, float64, shape (K, D).
        thresholds: cosine of the class's name to it, float64, shape (K,).
    """

    prototypes: Tensor
    thresholds: Tensor


class Gaps(NamedTuple):
    """How far texts stay below a border."""

    mean: Tensor  # over the classes, of base minus cosine; float64, (V,)
    admissible: Tensor  # whether every class's difference is above 0; bool, (V,)


def shots(labels: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` random images of each class, all of a class that has fewer.

    Args:
        labels: classes, int64, shape (n,), on the CPU; below 0 is no class.
        count: at least 1.
        seed: of a generator of its own.

    Returns:
        Rows, int64, ascending.

    Example:
        >>> len(shots(torch.tensor([0, 0, 0, 1, -1]), 2, seed=0))
        3
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    order = order[labels[order] >= 0]
    order = order[labels[order].argsort(stable=True)]
    classes = labels[order]
    place = torch.arange(len(order)) - torch.searchsorted(classes, classes)
    return order[place < count].sort().values


def class_bounds(names: Tensor, images: Tensor, labels: Tensor) -> ClassBounds:
    """The border that class names and their images draw; classes without an image have no part in it.

    Args:
        names: unit text features in class order, shape (P, D).
        images: unit image features, shape (n, D).
        labels: their classes, 0 to P - 1, int64, shape (n,), at least one.

    Raises:
        ValueError: if there are no images, or a class has no name.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f"{len(labels)} images of classes that must lie in 0..{len(names) - 1}")
    classes, row = labels.unique(return_inverse=True)
    sums = images.new_zeros(len(classes), images.shape[1], dtype=torch.float64).index_add_(0, row, images.double())
    prototypes = unit(sums)
    return ClassBounds(prototypes, (names[classes].double() * prototypes).sum(dim=1))


def gaps(texts: Tensor, bounds: ClassBounds, *, block: int = 4096) -> Gaps:
    """How far texts stay below a border: differences of cosines, rounded to 2^-40.

    Peak memory beside the inputs: about ``block * K * 24`` bytes.

    Args:
        texts: unit text features, shape (V, D).
        bounds: on the same device.
        block: texts per product.

    Example:
        >>> bounds = ClassBounds(torch.eye(2, dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64))
        >>> gaps(torch.tensor([[0.6, -0.8], [0.0, 0.25]]), bounds).admissible
        tensor([False,  True])
    """
    mean, admissible = [bounds.thresholds[:0]], [bounds.thresholds[:0].bool()]
    for part in texts.split(block):
        below = ((bounds.thresholds - part.double() @ bounds.prototypes.T) * _GRID).round() / _GRID
        mean.append((below.mean(dim=1) * _GRID).round() / _GRID)
        admissible.append((below > 0).all(dim=1))
    return Gaps(torch.cat(mean), torch.cat(admissible))
