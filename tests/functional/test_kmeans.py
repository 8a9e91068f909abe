"""k-means: against scikit-learn and slow oracles, the same bits whatever the blocks, no cluster left empty."""

import math

import pytest
import torch
from sklearn.cluster import KMeans as Oracle
from torch import Tensor

from ood_lightning.functional.kmeans import KMeans, kmeans, nearest_centres
from ood_lightning.functional.kmeans_seeds import Space, TooFewDistinctError
from ood_lightning.functional.rows import joined
from ood_lightning.functional.similarity import unit


def plain(dim: int, spherical: bool = False) -> Space:
    return Space(torch.zeros(dim), torch.ones(dim), spherical)


def blobs(n_blobs: int, per_blob: int = 20, dim: int = 8, spread: float = 0.05) -> Tensor:
    """Row i belongs to blob i % n_blobs."""
    draw = torch.Generator().manual_seed(3)
    centres = torch.randn(n_blobs, dim, generator=draw)
    return centres.repeat(per_blob, 1) + spread * torch.randn(n_blobs * per_blob, dim, generator=draw)


def one_cluster_each(result: KMeans, n_blobs: int) -> bool:
    of_blobs = [set(result.assignments[blob::n_blobs].tolist()) for blob in range(n_blobs)]
    return all(len(clusters) == 1 for clusters in of_blobs) and len(set.union(*of_blobs)) == n_blobs


def test_on_blobs_the_inertia_is_that_of_scikit_learn():
    rows = blobs(6)
    result = kmeans(rows, 6, plain(8))
    oracle = Oracle(6, n_init=2, random_state=0).fit(rows.double().numpy())
    assert result.inertia == pytest.approx(oracle.inertia_, rel=1e-5)
    assert one_cluster_each(result, 6)
    assert {tuple(c) for c in result.centres.double().numpy().round(4)} == {
        tuple(c) for c in oracle.cluster_centers_.round(4)
    }


def test_without_structure_it_is_about_as_good_as_scikit_learn():
    rows = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    oracle = Oracle(12, n_init=2, random_state=0).fit(rows.double().numpy())
    assert kmeans(rows, 12, plain(6)).inertia < 1.03 * oracle.inertia_


@pytest.mark.parametrize("spherical", [False, True])
def test_the_result_is_a_fixed_point_of_a_slow_round(spherical: bool):
    """Every row is nearest to its own centre, and every centre is the mean of its rows, by loops in float64."""
    rows = blobs(5, spread=0.8)
    space = plain(8, spherical)
    result, points = kmeans(rows, 7, space), space.points(rows).double()

    inertia = 0.0
    for point, cluster in zip(points, result.assignments.tolist(), strict=True):
        distances = [float((point - centre).square().sum()) for centre in result.centres.double()]
        assert distances[cluster] == pytest.approx(min(distances), abs=1e-6)
        inertia += distances[cluster]
    assert result.inertia == pytest.approx(inertia, rel=1e-5)

    for cluster, centre in enumerate(result.centres):
        mean = points[result.assignments == cluster].mean(dim=0)
        expected = mean / mean.norm() if spherical else mean
        torch.testing.assert_close(centre, expected.float(), atol=1e-6, rtol=1e-5)


def test_on_the_sphere_length_does_not_count():
    rows = blobs(4)
    lengths = torch.rand(len(rows), 1, generator=torch.Generator().manual_seed(0)) + 0.5
    short_and_long = kmeans(unit(rows) * lengths, 4, plain(8, spherical=True))
    assert one_cluster_each(short_and_long, 4)
    torch.testing.assert_close(short_and_long.centres.norm(dim=1), torch.ones(4))


@pytest.mark.slow
@pytest.mark.parametrize("spherical", [False, True])
def test_blocks_and_parts_do_not_matter(spherical: bool, monkeypatch: pytest.MonkeyPatch):
    rows, space = blobs(5, spread=0.8), plain(8, spherical)
    first = kmeans(rows, 9, space)
    monkeypatch.setattr("ood_lightning.functional.kmeans._PRODUCTS", (3, 2))
    monkeypatch.setattr("ood_lightning.functional.products._PIECE", 64)
    for held in (rows, joined([rows[:7], rows[7:50], rows[50:]])):
        again = kmeans(held, 9, space, block=7)
        assert torch.equal(again.centres, first.centres)
        assert torch.equal(again.assignments, first.assignments)
        assert (again.inertia, again.rounds) == (first.inertia, first.rounds)
    assert torch.equal(nearest_centres(rows, first.centres, space, block=4).cluster, first.assignments)


def test_a_seed_decides():
    rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(2))
    first = kmeans(rows, 10, plain(4), seed=5, starts=1)
    assert torch.equal(kmeans(rows, 10, plain(4), seed=5, starts=1).centres, first.centres)
    assert not torch.equal(kmeans(rows, 10, plain(4), seed=6, starts=1).centres, first.centres)


def test_more_starts_are_never_worse():
    rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(2))
    inertias = [kmeans(rows, 10, plain(4), starts=starts).inertia for starts in (1, 2, 5)]
    assert inertias == sorted(inertias, reverse=True)


def test_rounds_are_reported_and_bounded():
    rows, seen = torch.randn(200, 4, generator=torch.Generator().manual_seed(2)), []
    result = kmeans(rows, 10, plain(4), starts=2, most_rounds=2, on_round=lambda start, n: seen.append((start, n)))
    assert seen == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert result.rounds == 2
    assert torch.equal(result.assignments, nearest_centres(rows, result.centres, plain(4)).cluster)


def test_copies_of_one_image_are_one_cluster():
    other = blobs(3, per_blob=1)
    result = kmeans(torch.cat([other[:1].repeat(50, 1), other[1:]]), 3, plain(8, spherical=True))
    assert len(set(result.assignments[:50].tolist())) == 1
    assert len(result.assignments.unique()) == 3
    assert result.inertia == pytest.approx(0, abs=1e-5)


def test_more_clusters_than_distinct_rows_are_refused():
    rows = blobs(3, per_blob=1).repeat(20, 1)
    with pytest.raises(TooFewDistinctError, match="4 clusters of 60 rows, of which only 3 are distinct") as refused:
        kmeans(rows, 4, plain(8))
    assert refused.value.n_distinct == 3


def test_every_row_may_be_a_cluster():
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    result = kmeans(rows, 5, plain(3))
    assert sorted(result.assignments.tolist()) == [0, 1, 2, 3, 4]
    assert result.inertia == 0


def test_an_empty_cluster_gets_the_row_farthest_from_its_centre(monkeypatch: pytest.MonkeyPatch):
    """From centres of which two are nobody's: the farthest rows take them, the first one the farthest."""
    rows = torch.tensor([[0.0], [1.0], [2.0], [30.0], [50.0]])
    start = torch.tensor([[1.0], [1000.0], [2000.0]])
    monkeypatch.setattr("ood_lightning.functional.kmeans.first_centres", lambda *_: start)
    result = kmeans(rows, 3, plain(1), starts=1)
    assert result.assignments.tolist() == [0, 0, 0, 2, 1]
    assert result.centres.flatten().tolist() == [1.0, 50.0, 30.0]


def test_two_empty_clusters_do_not_share_copies_of_one_row(monkeypatch: pytest.MonkeyPatch):
    rows = torch.tensor([[0.0], [1.0], [30.0], [50.0], [50.0]])
    start = torch.tensor([[0.0], [1000.0], [2000.0]])
    monkeypatch.setattr("ood_lightning.functional.kmeans.first_centres", lambda *_: start)
    result = kmeans(rows, 3, plain(1), starts=1)
    assert result.assignments.tolist() == [0, 0, 2, 1, 1]


def test_centres_without_a_direction_stay():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    result = kmeans(rows, 1, plain(2, spherical=True))
    assert result.centres.tolist() in ([[1.0, 0.0]], [[-1.0, 0.0]])


def test_large_sums_lose_nothing():
    """40,000 rows with one bit of float32's last place between them, in blocks of either size."""
    draw = torch.Generator().manual_seed(0)
    rows = 1 + torch.randint(2, (40_000, 1), generator=draw) * 2.0**-23
    result = kmeans(rows, 1, plain(1), starts=1)
    expected = math.fsum(rows.flatten().tolist()) / len(rows)
    assert float(result.centres) == float(torch.tensor(expected, dtype=torch.float64).float())


def test_seeds_of_many_rows_are_drawn_from_a_sample(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ood_lightning.functional.kmeans_seeds._SEED_ROWS", 30)
    assert one_cluster_each(kmeans(blobs(4, per_blob=30), 4, plain(8)), 4)


@pytest.mark.parametrize("bad", [{"n_clusters": 0}, {"starts": 0}, {"most_rounds": 0}, {"block": 0}])
def test_nothing_is_refused_in_words(bad: dict[str, int]):
    settings = {"n_clusters": 2, **bad}
    with pytest.raises(ValueError, match="expected at least one of each"):
        kmeans(torch.randn(4, 2), settings.pop("n_clusters"), plain(2), **settings)


def test_rows_that_are_not_finite_are_refused():
    rows = torch.randn(4, 2)
    rows[2] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        kmeans(rows, 2, plain(2))
    with pytest.raises(ValueError, match="row 2 holds NaN"):
        kmeans(rows, 2, plain(2, spherical=True))
