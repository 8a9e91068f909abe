"""Where k-means begins: rows as points, and centres drawn far from each other (k-means++).

Source: Arthur and Vassilvitskii, SODA 2007; of several candidates for each centre the best is kept, as in scikit-learn.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import unit

SQUARE = 2.0**24  # squared distances are counted in units of 1 / SQUARE
_SEED_ROWS = 32_768  # of which centres are drawn: 256 MiB at D = 1,024


class Space(NamedTuple):
    """How k-means sees rows: shifted, divided, and on the sphere brought to length one.

    Attributes:
        shift: subtracted, float32, shape (D,).
        scale: divides then, float32, shape (D,).
        spherical: whether rows and centres have length one.
    """

    shift: Tensor
    scale: Tensor
    spherical: bool

    def points(self, rows: Tensor) -> Tensor:
        """Rows (n, D) of any float type as points, float32, (n, D), on the device of `shift`."""
        points = (rows.to(self.shift.device).float() - self.shift) / self.scale
        return unit(points) if self.spherical else points


class TooFewDistinctError(ValueError):
    """There are fewer distinct rows than clusters.

    Attributes:
        n_distinct: how many there are.
    """

    def __init__(self, n_clusters: int, n_distinct: int, n_rows: int) -> None:
        super().__init__(f"{n_clusters} clusters of {n_rows} rows, of which only {n_distinct} are distinct")
        self.n_distinct = n_distinct


def first_centres(rows: FeatureRows, n_clusters: int, space: Space, draw: torch.Generator) -> Tensor:
    """First centres (C, D), by k-means++ among all rows or a sample of them.

    Raises:
        TooFewDistinctError: the rows, or those of the sample, do not suffice.
    """
    n_sample = max(_SEED_ROWS, 4 * n_clusters)
    if len(rows) > n_sample:
        chosen = torch.randperm(len(rows), generator=draw)[:n_sample].sort().values
        rows = rows[chosen.to(rows.device)]
    points = space.points(rows[:]).double()  # (m, D)
    squares = points.square().sum(dim=1)

    def distances(candidates: Tensor) -> Tensor:
        """Squared ones of each point from k candidates, in units of 2^-24, (m, k)."""
        apart = squares[:, None] + squares[candidates] - 2 * (points @ points[candidates].T)
        return in_units(apart, SQUARE).clamp_min_(0)

    seeds = [int(torch.randint(len(points), (1,), generator=draw))]
    nearest = distances(torch.tensor(seeds, device=points.device))[:, 0]
    n_candidates = 2 + int(math.log(n_clusters))

    while len(seeds) < n_clusters:
        upto = nearest.cumsum(0)
        total = int(upto[-1])
        if not total:
            raise TooFewDistinctError(n_clusters, len(seeds), len(points))

        drawn = torch.randint(total, (n_candidates,), generator=draw).to(upto.device)
        candidates = torch.searchsorted(upto, drawn, right=True)
        after = torch.minimum(nearest[:, None], distances(candidates))  # (m, candidates)
        best = int(after.sum(dim=0).cpu().argmin())
        seeds.append(int(candidates[best]))
        nearest = after[:, best]

    return points[seeds].float()


def in_units(numbers: Tensor, per_one: float) -> Tensor:
    """Multiples of 1 / per_one, int64."""
    return (numbers.double() * per_one).round().long()
