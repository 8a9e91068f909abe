"""The three kinds of k-means on features, and what is refused."""

from typing import get_args

import pytest
import torch
from sklearn.cluster import KMeans as Oracle
from sklearn.preprocessing import StandardScaler

from ood_lightning.clustering.kmeans import Method, cluster, clusters, space_of
from ood_lightning.errors import SettingsError

METHODS: tuple[Method, ...] = get_args(Method)


def features(n: int = 120, dim: int = 6) -> torch.Tensor:
    """Unit vectors around four directions."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(4, dim, generator=draw)
    rows = centres.repeat(n // 4, 1) + 0.3 * torch.randn(n, dim, generator=draw)
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(("method", "with_scale"), [("raw", False), ("standardised", True)])
def test_the_papers_baseline_is_that_of_scikit_learn(method: Method, with_scale: bool):
    rows = features()
    seen = StandardScaler(with_std=with_scale).fit_transform(rows.double().numpy())
    if with_scale:
        seen *= ((len(rows) - 1) / len(rows)) ** 0.5  # its deviation is the biased one
    oracle = Oracle(4, n_init=2, random_state=0).fit(seen)
    result = clusters(rows, 4, space_of(rows, method), seed=0)
    assert result.inertia == pytest.approx(oracle.inertia_, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_and_a_seed_give_the_same_twice(method: Method):
    rows = features().half()
    first = cluster(rows, method, 5, seed=3)
    assert torch.equal(cluster(rows, method, 5, seed=3), first)
    assert first.dtype == torch.int64
    assert sorted(first.unique().tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("method", METHODS)
def test_five_images(method: Method):
    assert len(cluster(features(8)[:5], method, 2, seed=0).unique()) == 2


@pytest.mark.parametrize("method", METHODS)
def test_one_image_fifty_times_is_one_cluster(method: Method):
    rows = features(4)[:1].repeat(50, 1)
    assert cluster(rows, method, 1, seed=0).tolist() == [0] * 50
    words = "2 clusters asked for, and 2 clusters of 50 rows, of which only 1 are distinct: ask for 1 or fewer"
    with pytest.raises(SettingsError, match=words):
        cluster(rows, method, 2, seed=0)


def test_a_constant_dimension_is_no_division_by_zero():
    rows = features()
    rows[:, 2] = 0.5
    assert len(cluster(rows, "standardised", 4, seed=0).unique()) == 4


def test_the_kinds_differ():
    rows = features() * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.01])
    result = [cluster(rows, method, 12, seed=0) for method in METHODS]
    assert len({tuple(one.tolist()) for one in result}) == 3
