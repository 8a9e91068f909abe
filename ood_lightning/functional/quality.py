"""How well clusters agree with true labels (NMI, ARI, accuracy), zero-shot top-1, and a histogram of cosines.

Source: normalised mutual information and adjusted Rand index (Hubert and Arabie 1985) as scikit-learn defines them;
clustering accuracy by the best one-to-one matching (Kuhn 1955, Munkres 1957), as TEMI reports it.
Differs: exact integers and float64. torchmetrics 1.9 multiplies numbers of pairs in int64: at ImageNet's 1,281,167
images they exceed 2^63, and its adjusted Rand index is 0.43 where 0.14 is right. Its accuracy needs another package.
"""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import top_k, unit

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


def top1(features: Tensor, texts: Tensor, labels: Tensor, *, row_block: int = 8192) -> float:
    """Zero-shot top-1: the share of labelled images of which the nearest text is that of their class.

    Of equal texts the first counts as the nearest, so images of a class whose name repeats an earlier class's name are
    never right; nor are those of a class that has no text. The answer does not depend on the block. Peak memory beside
    the inputs: ``row_block`` features in float32, and what :func:`top_k` takes.

    Args:
        features: image features of any length but zero, shape ``(n, D)``.
        texts: unit vectors, one a class in the order of the classes, shape ``(C, D)``.
        labels: classes, int64, shape ``(n,)``; images with -1 do not count.
        row_block: images at once.

    Returns:
        Fraction in ``[0, 1]``.

    Raises:
        ValueError: if no image has a label, there are no texts, D differs, or a feature is zero or not finite.

    Source: CLIP, Radford et al., ICML 2021, https://arxiv.org/abs/2103.00020.

    Example:
        >>> top1(torch.eye(2)[[0, 1, 1, 0]], torch.eye(2), torch.tensor([0, 1, 0, -1]))
        0.6666666666666666
    """
    rows = (labels >= 0).nonzero()[:, 0]
    if not len(rows):
        raise ValueError(f"none of {len(labels)} images has a label, so there is no top-1")

    nearest = [top_k(unit(features[block]), texts, 1).indices[:, 0] for block in rows.split(row_block)]
    return int((torch.cat(nearest) == labels[rows]).sum()) / len(rows)


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
    cells = rows * len(column_names) + columns
    return torch.bincount(cells, minlength=len(row_names) * len(column_names)).view(len(row_names), -1)


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
    return min(1.0, max(0.0, float(2 * (clusters + classes - joint) / (clusters + classes))))


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
    return float(wide.gather(1, best_assignment(-wide)[:, None]).sum().double() / table.sum())


def best_assignment(costs: Tensor) -> Tensor:
    """The column of each row, no column twice, with the lowest sum of costs.

    Rows enter one by one. A new row may take a column from an earlier row, which then takes another column, and so on
    until a free column is reached; the cheapest such chain is found as a shortest path. Paths are measured in reduced
    costs, ``cost - price of the row - price of the column``, which the prices keep at 0 or above (successive shortest
    paths with potentials). Integers throughout, so the optimum is exact. A 1,000 x 4,000 table of counts takes one to
    three seconds on a CPU.

    Args:
        costs: integers of any sign, shape ``(R, S)`` with ``R <= S``.

    Returns:
        Columns, int64, shape ``(R,)``.

    Raises:
        ValueError: if the costs are no integers, or there are more rows than columns.

    Source: Kuhn, Naval Research Logistics 2, 1955; Jonker and Volgenant, Computing 38, 1987.

    Example:
        >>> best_assignment(torch.tensor([[1, 2, 9], [1, 9, 9]]))
        tensor([1, 0])
    """
    if costs.ndim != 2 or costs.is_floating_point() or costs.shape[0] > costs.shape[1]:
        raise ValueError(f"costs {tuple(costs.shape)} of {costs.dtype}: expected integers, no more rows than columns")

    costs = costs.long().cpu()
    n_rows, n_columns = costs.shape
    row_price = torch.zeros(n_rows, dtype=torch.int64)
    column_price = torch.zeros(n_columns, dtype=torch.int64)
    row_of_column = [-1] * n_columns  # -1: the column is free
    column_of_row = [-1] * n_rows
    infinity = torch.iinfo(torch.int64).max

    for new_row in range(n_rows):
        reach = torch.full((n_columns,), infinity)  # length of the shortest chain to each column that is not done
        came_from = torch.full((n_columns,), new_row)  # the row before each column in that chain
        done = torch.zeros(n_columns, dtype=torch.bool)
        visited: list[tuple[int, int, int]] = []  # column, its row, length of the chain to it

        # The shortest chain from the new row to a free column, by Dijkstra's algorithm.
        row, length = new_row, 0
        while True:
            step = length + costs[row] - row_price[row] - column_price  # (S,)
            better = (step < reach) & ~done
            reach = torch.where(better, step, reach)
            came_from[better] = row

            column = int(reach.masked_fill(done, infinity).argmin())
            length = int(reach[column])
            if row_of_column[column] < 0:
                break
            done[column] = True
            row = row_of_column[column]
            visited.append((column, row, length))

        # New prices: reduced costs stay at 0 or above, and are 0 along the chain.
        row_price[new_row] += length
        for visited_column, visited_row, its_length in visited:
            row_price[visited_row] += length - its_length
            column_price[visited_column] -= length - its_length

        # From the free column back to the new row: each row gives its old column to the row before it.
        while True:
            row = int(came_from[column])
            row_of_column[column] = row
            column_of_row[row], column = column, column_of_row[row]
            if row == new_row:
                break

    return torch.tensor(column_of_row)


def _pairs(counts: Tensor) -> int:
    """Pairs of images that are in one part: below 2^63 for up to 3e9 images, and a Python integer from here on."""
    return int((counts * (counts - 1) // 2).sum())
