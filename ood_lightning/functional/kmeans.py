"""k-means: k-means++ with several starts, then rounds of nearest centres and means; also on the sphere.

Source: Lloyd, IEEE Transactions on Information Theory 28 (1982); k-means++ by Arthur and Vassilvitskii, SODA 2007, with
several candidates for each seed as in scikit-learn; on the sphere by Dhillon and Modha, Machine Learning 42 (2001).

The same seed gives the same bits whatever the blocks and the number of threads are:

- nearest centres are exact (:mod:`ood_lightning.functional.exact_nearest`); of equally near ones the first,
- coordinates and squared distances are summed as integers, in units of 2^-32 and 2^-24, so in any order,
- seeds are drawn in proportion to such integers, from products in float64.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.exact_nearest import exact_nearest
from ood_lightning.functional.kmeans_seeds import SQUARE, Space, first_centres, in_units
from ood_lightning.functional.products import exact_products
from ood_lightning.functional.rows import FeatureRows

_COORDINATE = 2.0**32  # a set's coordinates sum up to n at most, so that 2^31 rows fit into 63 bits
_BLOCK = 8192  # rows at once
_PRODUCTS = 1024, 2048  # rows and centres of a product: 8 MiB


class Nearest(NamedTuple):
    """The nearest centre of each row.

    Attributes:
        cluster: number of the centre, int64, shape (n,), on the CPU.
        distance: squared, in units of 2^-24, int64, shape (n,), on the CPU.
    """

    cluster: Tensor
    distance: Tensor


class KMeans(NamedTuple):
    """The best of several starts.

    Attributes:
        centres: float32, shape (C, D), on the device of the space.
        assignments: the nearest centre of each row, int64, shape (n,), on the CPU.
        inertia: sum of squared distances from it.
        rounds: that the start took.
    """

    centres: Tensor
    assignments: Tensor
    inertia: float
    rounds: int


def kmeans(
    rows: FeatureRows,
    n_clusters: int,
    space: Space,
    *,
    seed: int = 0,
    starts: int = 2,
    most_rounds: int = 100,
    block: int = _BLOCK,
    on_round: Callable[[int, int], object] = lambda start, n: None,
) -> KMeans:
    """Clusters of rows, the best of several starts by inertia, the first of equal ones.

    A round that finds an empty cluster gives it the row farthest from its own centre, which then is its centre; of
    several empty clusters the first takes the farthest. A start ends when no row moves.

    Memory beside the rows: a block of them in float32 and float64, products of 8 MiB, 24 bytes a row, and 8 D bytes for
    each of 32,768 rows (or 4 C, if that is more), of which seeds are drawn where there are more rows.

    Args:
        rows: shape (n, D), any float type.
        n_clusters: C.
        space: how they are seen.
        seed: of the draws.
        starts: how often to begin anew.
        most_rounds: of a start; the last one's centres are taken as they are, and some clusters may then be empty.
        block: rows at once.
        on_round: called after each round with the numbers of the start and of the round, from 0.

    Raises:
        TooFewDistinctError: there are fewer distinct rows than clusters.
        ValueError: a number is below 1, or a row is not finite (on the sphere: or zero).

    Example:
        >>> of_plane = Space(torch.zeros(1), torch.ones(1), spherical=False)
        >>> two = kmeans(torch.tensor([[0.0], [1.0], [9.0], [11.0]]), 2, of_plane)
        >>> two.inertia, sorted(two.centres.flatten().tolist())
        (2.5, [0.5, 10.0])
    """
    if min(n_clusters, starts, most_rounds, block) < 1 or not len(rows):
        raise ValueError(
            f"{n_clusters} clusters of {len(rows)} rows in blocks of {block}, {starts} starts of {most_rounds} rounds: "
            f"expected at least one of each"
        )
    draw = torch.Generator().manual_seed(seed)

    best, lowest = None, math.inf
    for start in range(starts):
        clustering, inertia = _one_start(rows, n_clusters, space, draw, most_rounds, block, partial(on_round, start))
        if inertia < lowest:
            best, lowest = clustering, inertia
    assert best is not None
    return best


def nearest_centres(rows: FeatureRows, centres: Tensor, space: Space, *, block: int = _BLOCK) -> Nearest:
    """The nearest centre of each row, exactly; of equally near ones the first.

    Args:
        rows: shape (n, D), any float type.
        centres: of :func:`kmeans`, shape (C, D).
        space: as it was found in.
        block: rows at once.

    Raises:
        ValueError: a row is not finite (on the sphere: or zero).
    """
    bank = _bank(centres)
    parts = [_nearest(space.points(part), bank) for part in rows.split(block)]
    return Nearest(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


class _Round(NamedTuple):
    """Nearest centres, and sums of the rows of each: coordinates, int64, (C, D), and how many rows, int64, (C,)."""

    nearest: Nearest
    sums: Tensor
    sizes: Tensor


def _one_start(
    rows: FeatureRows,
    n_clusters: int,
    space: Space,
    draw: torch.Generator,
    most_rounds: int,
    block: int,
    on_round: Callable[[int], object],
) -> tuple[KMeans, int]:
    """One start, and its inertia in units of 2^-24."""
    centres, before = first_centres(rows, n_clusters, space, draw), None

    for n in range(most_rounds):
        of_round = _round(rows, centres, space, block)
        n_moved = _fill_empty(of_round, rows, space)
        on_round(n)

        if before is not None and not n_moved and torch.equal(before, of_round.nearest.cluster):
            break  # the same sums again, and so the same centres
        before = of_round.nearest.cluster
        centres = _means(of_round, centres, space.spherical)
    else:
        of_round = _round(rows, centres, space, block)

    inertia = int(of_round.nearest.distance.sum())
    return KMeans(centres, of_round.nearest.cluster, inertia / SQUARE, n + 1), inertia


def _bank(centres: Tensor) -> Tensor:
    """Centres with -|c|^2 / 2 in two more columns, for rows with two ones behind: the largest product is the nearest.

    Two float32 numbers hold what one would round away.
    """
    halves = -centres.double().square().sum(dim=1, keepdim=True) / 2
    high = halves.float()
    return torch.cat([centres, high, (halves - high.double()).float()], dim=1)  # (C, D + 2)


def _nearest(points: Tensor, bank: Tensor) -> Nearest:
    """Of points (n, D), on their device."""
    extended = torch.cat([points, points.new_ones(len(points), 2)], dim=1)
    best = exact_nearest(extended, bank, _PRODUCTS[1], _PRODUCTS[0])
    itself = torch.arange(len(points), device=points.device)[:, None]
    squares = exact_products(points, points, itself)[:, 0]
    return Nearest(best.position, in_units(squares - 2 * best.cosine, SQUARE).clamp_min_(0))


def _round(rows: FeatureRows, centres: Tensor, space: Space, block: int) -> _Round:
    """Nearest centres of all rows, and the sums from which the next centres are made."""
    bank, nearest = _bank(centres), []
    sums = torch.zeros(centres.shape, dtype=torch.int64, device=centres.device)

    for part in rows.split(block):
        points = space.points(part)
        nearest.append(_nearest(points, bank))
        sums.index_add_(0, nearest[-1].cluster, in_units(points, _COORDINATE))

    of_all = Nearest(*(torch.cat(column).cpu() for column in zip(*nearest, strict=True)))
    return _Round(of_all, sums, torch.bincount(of_all.cluster, minlength=len(centres)))


def _fill_empty(of_round: _Round, rows: FeatureRows, space: Space) -> int:
    """Give each empty cluster the row farthest from its centre, in place; how many rows were moved.

    Rows that are the only one of their cluster stay, as do copies of a row that was moved.
    """
    (cluster, distance), sums, sizes = of_round
    empty = (sizes == 0).nonzero()[:, 0].tolist()
    if not empty:
        return 0

    moved: list[Tensor] = []
    for row in distance.argsort(descending=True, stable=True).tolist():
        if not empty:
            break
        point, old = space.points(rows[row : row + 1])[0], int(cluster[row])
        if sizes[old] < 2 or any(torch.equal(point, other) for other in moved):
            continue

        new = empty.pop(0)
        coordinates = in_units(point, _COORDINATE)
        sums[old] -= coordinates
        sums[new] += coordinates
        sizes[old] -= 1
        sizes[new] += 1
        cluster[row] = new
        moved.append(point)

    return len(moved)


def _means(of_round: _Round, centres: Tensor, spherical: bool) -> Tensor:
    """The next centres (C, D); one stays where its rows have no mean, or on the sphere no direction."""
    sizes = of_round.sizes.to(centres.device)[:, None]
    means = of_round.sums.double() / _COORDINATE / sizes.clamp_min(1)  # (C, D)
    lengths = means.square().sum(dim=1, keepdim=True).sqrt()

    kept = (sizes == 0) | (spherical & (lengths == 0))
    if spherical:
        means = means / lengths
    return torch.where(kept, centres, means.float())
