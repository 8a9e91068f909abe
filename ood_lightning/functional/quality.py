"""How well clusters agree with true labels, and how texts' likenesses spread.

Source: normalised mutual information and adjusted Rand index (Hubert and Arabie 1985) as scikit-learn defines them;
clustering accuracy by the best one-to-one matching (Kuhn 1955, Munkres 1957), as TEMI reports it.
Differs: exact integers and float64. torchmetrics 1.9 multiplies numbers of pairs in int64: at ImageNet's 1,281,167
images they pass 2^63, and its adjusted Rand index reads 0.43 where 0.14 is right. Its accuracy needs another package.
"""

import torch
from torch import Tensor

from ood_lightning.functional.assignment import best_assignment

BINS = 100  # of a histogram of cosines, 0.02 wide over [-1, 1]


def cosine_histogram(cosines: Tensor) -> Tensor:
    """How many cosines lie in each of 100 equal bins over [-1, 1]; the last bin holds 1 too.

    Args:
        cosines: shape ``(P,)``; what rounding puts outside [-1, 1] goes to the nearest bin.

    Returns:
        Counts, int64, shape ``(100,)``.

    Example:
        >>> cosine_histogram(torch.tensor([1.0, 0.99, 0.5])).nonzero()[:, 0]
        tensor([75, 99])
    """
    # a grain up: 0.58 in float is a hair below the edge that it stands on
    bins = ((cosines.double() + 1) * (BINS / 2) + 1e-6).floor().long().clamp(0, BINS - 1)
    return torch.bincount(bins, minlength=BINS)


def contingency(clusters: Tensor, classes: Tensor) -> Tensor:
    """Images of each (cluster, class), empty rows and columns left out.

    Args:
        clusters: of each image, integers, shape ``(N,)``.
        classes: of each image, integers, shape ``(N,)``.

    Returns:
        Counts, int64, shape ``(E, Y)``: non-empty clusters by classes that occur.

    Raises:
        ValueError: if there are no images or shapes differ.
    """
    if clusters.ndim != 1 or clusters.shape != classes.shape or not len(clusters):
        raise ValueError(
            f"clusters {tuple(clusters.shape)} and classes {tuple(classes.shape)} must be one of each per image, of at "
            f"least one image"
        )
    row_names, rows = clusters.unique(return_inverse=True)
    column_names, columns = classes.unique(return_inverse=True)
    size = (len(row_names), len(column_names))
    return torch.bincount(rows * size[1] + columns, minlength=size[0] * size[1]).view(size)


def normalised_mutual_information(table: Tensor) -> float:
    """Mutual information over the mean of the two entropies, in [0, 1].

    Args:
        table: see :func:`contingency`.

    Returns:
        1 where the two partitions are the same (also if both have one part), 0 where they tell nothing of each other.

    Example:
        >>> normalised_mutual_information(torch.tensor([[2, 0], [0, 2]]))
        1.0
    """
    n = table.sum().double()
    mass = [torch.special.entr(part.double() / n).sum() for part in (table.flatten(), table.sum(1), table.sum(0))]
    joint, first, second = mass
    if first + second == 0:
        return 1.0
    return min(1.0, max(0.0, float(2 * (first + second - joint) / (first + second))))


def adjusted_rand_index(table: Tensor) -> float:
    """Share of the pairs of images that both partitions treat alike, corrected for chance.

    Args:
        table: see :func:`contingency`.

    Returns:
        1 for equal partitions, about 0 for unrelated ones, negative for worse than chance. Exact up to one division.

    Example:
        >>> adjusted_rand_index(torch.tensor([[1, 1], [1, 1]]))
        -0.5
    """
    together, by_row, by_column = (_pairs(part) for part in (table, table.sum(1), table.sum(0)))
    every = _pairs(table.sum())
    if by_row == by_column == together:  # equal partitions, of which chance may leave none
        return 1.0
    chance = by_row * by_column  # over `every`, by which all is multiplied: these are Python's integers of any size
    return 2 * (every * together - chance) / (every * (by_row + by_column) - 2 * chance)


def clustering_accuracy(table: Tensor) -> float:
    """Share of images in the class that their cluster is matched with, under the best one-to-one matching.

    A cluster without a class, or the other way round, counts as wrong: with more clusters than classes, as ClusterMine
    has, the measure is low by construction.

    Args:
        table: see :func:`contingency`.

    Example:
        >>> clustering_accuracy(torch.tensor([[3, 1], [2, 0], [0, 4]]))
        0.7
    """
    wide = table if table.shape[0] <= table.shape[1] else table.T
    chosen = best_assignment(-wide)
    return float(wide.gather(1, chosen[:, None]).sum().double() / table.sum())


def _pairs(counts: Tensor) -> int:
    """Pairs of images within the parts; below 2^63 for up to 3e9 images, and a Python integer from here on."""
    return int((counts * (counts - 1) // 2).sum())
