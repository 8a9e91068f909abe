"""Mean and deviation of features, and of classes of them, a block of rows at a time, in float64."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.rows import FeatureRows

_BLOCK = 2**20  # numbers of a block: 8 MiB in float64


class Moments(NamedTuple):
    """What some rows tell of a set's mean and deviation; those of all its rows together come of :func:`merged`.

    Attributes:
        n: rows.
        mean: of them, float64, shape (D,).
        squares: sums of squared distances from the mean, float64, shape (D,).
    """

    n: int
    mean: Tensor
    squares: Tensor

    @property
    def deviation(self) -> Tensor:
        """Unbiased, float64, shape (D,); NaN for one row, as of `torch.std`."""
        return (self.squares / (self.n - 1 or float("nan"))).sqrt()


def moments(features: FeatureRows, rows: range | None = None) -> Moments:
    """Mean and squared distances from it, equal to the last bit for every number of threads.

    Holds 16 MiB beside the features: a block at a time is brought to float64.

    Args:
        features: shape (n, D), any float dtype; at least one row.
        rows: of which; all of them if None.

    Source: Chan et al., The American Statistician 37 (1983), for blocks that are put together.

    Example:
        >>> of_three = moments(torch.tensor([[1.0], [2.0], [6.0]]))
        >>> of_three.mean, of_three.deviation
        (tensor([3.], dtype=torch.float64), tensor([2.6458], dtype=torch.float64))
    """
    rows, size = range(len(features)) if rows is None else rows, rows_of_block(features.shape[1])
    starts = range(rows.start, rows.stop, size)
    return merged(_of_block(features[start : min(start + size, rows.stop)].double()) for start in starts)


def merged(parts: Iterable[Moments]) -> Moments:
    """Of the rows of all parts together, which are added in their order.

    Args:
        parts: at least one.
    """
    parts = iter(parts)
    n, mean, squares = next(parts)
    for more, their_mean, their_squares in parts:
        apart = their_mean - mean
        squares = squares + their_squares + apart.square() * (n * more / (n + more))
        mean = mean + apart * (more / (n + more))
        n += more
    return Moments(n, mean, squares)


def class_sums(features: Tensor, classes: Tensor, n_classes: int) -> Tensor:
    """Sums of the features of each class, float64, shape (K, D).

    Args:
        features: shape (n, D), any float dtype.
        classes: class of each, int64, shape (n,), from 0 to K - 1; another number leaves the row out.
        n_classes: K.
    """
    sums = torch.zeros(n_classes, features.shape[1], dtype=torch.float64, device=features.device)
    for block, of_class in class_blocks(features, classes, n_classes):
        if block.is_cuda:
            sums.index_put_((of_class,), block, accumulate=True)  # sorted before: `index_add_` adds in any order there
        else:
            sums.index_add_(0, of_class, block)
    return sums


def class_blocks(features: Tensor, classes: Tensor, n_classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that have a class, float64, and their classes, a block at a time; arguments as of :func:`class_sums`."""
    size = rows_of_block(features.shape[1])
    for block, of_class in zip(features.split(size), classes.split(size), strict=True):
        has_class = (of_class >= 0) & (of_class < n_classes)
        yield block[has_class].double(), of_class[has_class]


def rows_of_block(dim: int) -> int:
    """How many rows of D numbers are a block."""
    return max(1, _BLOCK // max(dim, 1))


def _of_block(block: Tensor) -> Moments:
    """Of rows (n, D) in float64."""
    mean = _sum(block.clone()) / len(block)
    return Moments(len(block), mean, _sum((block - mean).square_()))


def _sum(rows: Tensor) -> Tensor:
    """Sum over rows (n, D), which are overwritten: the lower half is added onto the upper one until one is left.

    `Tensor.sum` may order its additions by the number of threads.
    """
    n = len(rows)
    while n > 1:
        half = (n + 1) // 2
        rows[: n - half] += rows[half:n]
        n = half
    return rows[0].clone()
