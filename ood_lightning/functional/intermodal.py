"""Which texts are farther from the ID images of every class than the name of that class is.

    prototype_k = unit(mean of the image features of class k),   threshold_k = cosine(name_k, prototype_k)
    a text is admissible where cosine(text, prototype_k) < threshold_k for every k
    its mean gap is mean_k (threshold_k - cosine(text, prototype_k))

Source: Xu et al., CVPR 2026 ("Mind the Way You Select Negative Texts"), and its code,
https://github.com/ZhikangXu0112/InterNeg.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.similarity import unit

_GRID = 2.0**40  # differences are rounded to multiples of 1 / _GRID, so that a name is never below its own threshold


class ClassBounds(NamedTuple):
    """How like its own images each class name is.

    Attributes:
        prototypes: unit mean image feature of each class that has images, float64, shape (K, D).
        thresholds: cosine of the class's name to it, float64, shape (K,).
    """

    prototypes: Tensor
    thresholds: Tensor


class Gaps(NamedTuple):
    """How far texts stay below the class names: ``threshold_k - cosine(text, prototype_k)`` over the classes k."""

    mean: Tensor  # of the differences; float64, (V,)
    admissible: Tensor  # whether all differences are above 0; bool, (V,)


def shots(labels: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` random images of each class, all of a class that has fewer.

    Args:
        labels: classes, int64, shape (n,), on the CPU; below 0 is no class.
        count: images per class, at least 1.
        seed: of a generator made here.

    Returns:
        Rows, int64, ascending.

    Example:
        >>> len(shots(torch.tensor([0, 0, 0, 1, -1]), 2, seed=0))
        3
    """
    return _first_of_each(labels, count, torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)))


def first_shots(labels: Tensor, count: int) -> Tensor:
    """The first images of each class, instead of random ones; see :func:`shots`.

    Example:
        >>> first_shots(torch.tensor([0, 1, 0, 0, -1]), 2)
        tensor([0, 1, 2])
    """
    return _first_of_each(labels, count, torch.arange(len(labels)))


def _first_of_each(labels: Tensor, count: int, order: Tensor) -> Tensor:
    """At most `count` rows of each class, the first in an order of all rows."""
    order = order[labels[order] >= 0]
    order = order[labels[order].argsort(stable=True)]  # class by class, in the given order inside each

    classes = labels[order]
    rank = torch.arange(len(order)) - torch.searchsorted(classes, classes)  # 0, 1, 2, ... inside each class
    return order[rank < count].sort().values


def class_bounds(names: Tensor, images: Tensor, labels: Tensor) -> ClassBounds:
    """Prototypes and thresholds of the classes that have an image; the other classes bound nothing.

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
    sums = images.new_zeros(len(classes), images.shape[1], dtype=torch.float64)
    prototypes = unit(sums.index_add_(0, row, images.double()))  # (K, D)
    return ClassBounds(prototypes, (names[classes].double() * prototypes).sum(dim=1))


def gaps(texts: Tensor, bounds: ClassBounds, *, block: int = 4096) -> Gaps:
    """How far texts stay below the class names: differences of cosines, rounded to 2^-40.

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
    by_block = (_rounded(bounds.thresholds - part.double() @ bounds.prototypes.T) for part in texts.split(block))
    parts = [Gaps(_rounded(below.mean(dim=1)), (below > 0).all(dim=1)) for below in by_block]  # below: (block, K)
    return Gaps(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _rounded(differences: Tensor) -> Tensor:
    return (differences * _GRID).round() / _GRID
