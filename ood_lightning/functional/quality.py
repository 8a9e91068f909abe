"""How well clusters agree with true labels (NMI, ARI, accuracy), and a histogram of cosines.

Source: normalised mutual information and adjusted Rand index (Hubert and Arabie 1985) as scikit-learn defines them;
clustering accuracy by the best one-to-one matching (Kuhn 1955, Munkres 1957), as TEMI reports it.
Differs: exact integers and float64. torchmetrics 1.9 multiplies numbers of pairs in int64: at ImageNet's 1,281,167
images they exceed 2^63, and its adjusted Rand index is 0.43 where 0.14 is right. Its accuracy needs another package.
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
    # + 1e-6, so that edges belong to the bin above: 0.58 in float32 is a little below the edge 0.58
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
    n_rows, n_columns = len(row_names), len(column_names)
    return torch.bincount(rows * n_columns + columns, minlength=n_rows * n_columns).view(n_rows, n_columns)


def normalised_mutual_information(table: Tensor) -> float:
    """``I(clusters; classes) / ((H(clusters) + H(classes)) / 2)``, in [0, 1].

    Args:
        table: see :func:`contingency`.

    Returns:
        1 where the two partitions are the same (also if both have one part), 0 where they are independent.

    Example:
        >>> normalised_mutual_information(torch.tensor([[2, 0], [0, 2]]))
        1.0
    """
    n = table.sum().double()
    joint, clusters, classes = (  # entropies, in nats
        torch.special.entr(counts.double() / n).sum() for counts in (table.flatten(), table.sum(1), table.sum(0))
    )
    if clusters + classes == 0:
        return 1.0
    mutual = clusters + classes - joint
    return min(1.0, max(0.0, float(2 * mutual / (clusters + classes))))


def adjusted_rand_index(table: Tensor) -> float:
    """``(RI - E[RI]) / (max RI - E[RI])``: share of the pairs of images that both partitions treat alike, above chance.

    Args:
        table: see :func:`contingency`.

    Returns:
        1 for equal partitions, about 0 for unrelated ones, negative for worse than chance. Exact up to one division.

    Example:
        >>> adjusted_rand_index(torch.tensor([[1, 1], [1, 1]]))
        -0.5
    """
    in_both, in_cluster, in_class = (_pairs(counts) for counts in (table, table.sum(1), table.sum(0)))
    n_pairs = _pairs(table.sum())
    if in_cluster == in_class == in_both:  # equal partitions, for which both differences may be 0
        return 1.0

    # Chance would put in_cluster * in_class / n_pairs pairs into both. All is multiplied by n_pairs, so that Python's
    # integers of any size keep it exact.
    chance = in_cluster * in_class
    return 2 * (n_pairs * in_both - chance) / (n_pairs * (in_cluster + in_class) - 2 * chance)


def clustering_accuracy(table: Tensor) -> float:
    """Share of images whose class is the one matched with their cluster, under the best one-to-one matching.

    Images of a cluster that is matched with no class count as wrong: with more clusters than classes, as ClusterMine
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
    """Pairs of images that are in one part: below 2^63 for up to 3e9 images, and a Python integer from here on."""
    return int((counts * (counts - 1) // 2).sum())
