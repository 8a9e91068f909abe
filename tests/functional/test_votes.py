"""Elections against a loop over dictionaries, ties, and the quality of clusters."""

import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.votes import Election, counts, elect, quality


def slow_election(assignments: Tensor, top1: Tensor, cosines: Tensor) -> list[tuple[int, int, int, int, float]]:
    votes: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cluster, concept, value in zip(assignments.tolist(), top1.tolist(), cosines.tolist(), strict=True):
        votes[cluster][concept].append(value)
    rows = []
    for cluster in sorted(votes):
        ballots = votes[cluster]
        winner = min(ballots, key=lambda concept: (-len(ballots[concept]), -sum(ballots[concept]), concept))
        size = sum(map(len, ballots.values()))
        rows.append((cluster, winner, len(ballots[winner]), size, sum(ballots[winner])))
    return rows


def drawn(n: int, clusters: int, concepts: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Quarters: exact sums, so that many votes tie in both count and cosine.
    cosines = torch.randint(-4, 5, (n,), generator=generator) / 4
    return (
        torch.randint(clusters, (n,), generator=generator),
        torch.randint(concepts, (n,), generator=generator),
        cosines,
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n", "clusters", "concepts"), [(1, 5, 3), (40, 15, 4), (400, 30, 100), (400, 200, 3)])
def test_election_equals_a_loop_over_dictionaries(n: int, clusters: int, concepts: int, seed: int):
    ballots = drawn(n, clusters, concepts, seed)
    got = elect(*ballots)
    assert list(zip(*(column.tolist() for column in got), strict=True)) == slow_election(*ballots)


def test_votes_decide_before_cosines_and_cosines_before_the_row():
    cluster = torch.zeros(5, dtype=torch.long)
    assert elect(cluster, torch.tensor([9, 9, 3, 3, 5]), torch.tensor([0.2, 0.2, 0.1, 0.2, 1.0])).winner == 9
    assert elect(cluster, torch.tensor([9, 9, 3, 3, 5]), torch.tensor([0.2, 0.1, 0.1, 0.2, 1.0])).winner == 3
    assert elect(cluster, torch.tensor([5, 3, 3, 9, 3]), torch.tensor([1.0, 0.1, 0.1, 1.0, 0.1])).winner == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_of_the_images_changes_no_bit(dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    assignments, top1, _ = drawn(3000, 5, 4, 0)
    cosines = torch.rand(3000, generator=generator, dtype=dtype)
    first = elect(assignments, top1, cosines)
    for _ in range(5):
        order = torch.randperm(3000, generator=generator)
        again = elect(assignments[order], top1[order], cosines[order])
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_equal_sums_tie_though_other_clusters_were_summed_before():
    # A float running sum would leave 0.1 + 0.2 of the second concept with another rounding than of the first.
    assignments = torch.tensor([0] * 1000 + [1] * 4)
    top1 = torch.tensor([0] * 1000 + [7, 7, 6, 6])
    cosines = torch.cat([torch.rand(1000, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, 0.2] * 2)])
    assert elect(assignments, top1, cosines).winner.tolist() == [0, 6]


def test_sums_of_cosines_that_differ_by_one_float32_rounding_do_not_tie():
    cosines = torch.tensor([0.5, 0.5 + 2.0**-24])
    assert elect(torch.zeros(2, dtype=torch.long), torch.tensor([3, 8]), cosines).winner == 8


def test_one_cluster_elects_the_mode_and_singletons_elect_what_posmine_finds():
    _, top1, cosines = drawn(50, 1, 6, 3)
    assert elect(torch.zeros_like(top1), top1, cosines).winner.tolist() == [int(counts(top1, 6).argmax())]
    singles = elect(torch.arange(50), top1, cosines)
    assert set(singles.winner.tolist()) == set(counts(top1, 6).nonzero()[:, 0].tolist())


def test_relabelled_clusters_elect_the_same_concepts():
    assignments, top1, cosines = drawn(200, 12, 9, 4)
    names = torch.randperm(12, generator=torch.Generator().manual_seed(0)) * 1000
    expected = elect(assignments, top1, cosines)
    got = elect(names[assignments], top1, cosines)
    assert dict(zip(names[expected.cluster].tolist(), expected.winner.tolist(), strict=True)) == dict(
        zip(got.cluster.tolist(), got.winner.tolist(), strict=True)
    )


def test_counts_hold_every_concept_of_the_corpus():
    assert counts(torch.tensor([2, 0, 2]), 5).tolist() == [1, 0, 2, 0, 0]
    assert counts(torch.tensor([], dtype=torch.long), 2).tolist() == [0, 0]


def test_quality_equals_numbers_worked_out_by_hand():
    # cluster 0: votes 7 7 8 -> 7; cluster 4: 7 -> 7; cluster 5: 9 9 -> 9; asked for 8 clusters
    assignments, top1 = torch.tensor([0, 0, 0, 4, 5, 5]), torch.tensor([7, 7, 8, 7, 9, 9])
    got = quality(assignments, top1, elect(assignments, top1, torch.ones(6)), 8)
    assert got.purity == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert got.weighted_purity == pytest.approx(5 / 6)
    assert got.entropy == pytest.approx(0.6365141682948128 / 3)  # nats: -(2/3 ln 2/3 + 1/3 ln 1/3)
    assert got.label_ratio == pytest.approx(2 / 8)
    assert got.redundancy == pytest.approx(50.0)


def test_purity_is_one_exactly_when_entropy_is_zero_and_redundancy_is_zero_for_distinct_labels():
    top1 = torch.tensor([3, 3, 1, 1, 2])
    pure = quality(top1, top1, elect(top1, top1, torch.ones(5)), 4)
    assert (pure.purity, pure.weighted_purity, pure.entropy, pure.redundancy) == (1.0, 1.0, 0.0, 0.0)
    assert str(pure.entropy) == "0.0"
    mixed_in = torch.tensor([3, 3, 1, 1, 1])
    mixed = quality(mixed_in, top1, elect(mixed_in, top1, torch.ones(5)), 4)
    assert mixed.purity < 1
    assert mixed.entropy > 0


def test_wrong_arguments_are_refused_in_words():
    pair = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="of at least one image"):
        elect(pair[:0], pair[:0], torch.ones(0))
    with pytest.raises(ValueError, match="one cluster and one concept"):
        elect(pair, pair[:1], torch.ones(2))
    with pytest.raises(ValueError, match="drop images that were not assigned"):
        elect(torch.tensor([-1, 0]), pair, torch.ones(2))
    for wrong in (torch.tensor([0.5, float("nan")]), torch.tensor([0.5, 25.0]), torch.ones(3)):
        with pytest.raises(ValueError, match=r"values in \[-1, 1\]"):
            elect(pair, pair, wrong)

    with pytest.raises(ValueError, match="do not fit a corpus of 1"):
        counts(pair, 1)
    election = elect(pair, pair, torch.ones(2))
    assert isinstance(election, Election)
    with pytest.raises(ValueError, match="given were 2 images and 1 clusters"):
        quality(pair, pair, election, 1)
    with pytest.raises(ValueError, match="given were 3 images"):
        quality(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1]), election, 2)


@pytest.mark.parametrize("seed", range(6))
def test_quality_keeps_what_must_hold_of_any_clusters(seed: int):
    assignments, top1, cosines = drawn(60, 3 + 5 * seed, 2 + 4 * seed, seed)
    election = elect(assignments, top1, cosines)
    n_clusters = int(assignments.max()) + 4  # some are empty
    got = quality(assignments, top1, election, n_clusters)

    members = [top1[assignments == k].tolist() for k in assignments.unique().tolist()]
    shares = [[labels.count(y) / len(labels) for y in set(labels)] for labels in members]
    assert got.purity == pytest.approx(sum(max(p) for p in shares) / len(shares))
    assert got.weighted_purity == pytest.approx(sum(max(p) * len(m) for p, m in zip(shares, members, strict=True)) / 60)
    assert got.entropy == pytest.approx(-sum(q * math.log(q) for p in shares for q in p) / len(shares))

    winners = election.winner.tolist()
    repeated = {y for y in winners if winners.count(y) > 1}
    assert got.redundancy == pytest.approx(100 * len(repeated) / len(set(winners)))
    assert got.label_ratio == pytest.approx(len(set(winners)) / n_clusters)

    assert 0 < got.purity <= 1
    assert (got.purity == 1) == (got.entropy == 0)
    assert (got.redundancy == 0) == (len(set(winners)) == len(winners))  # |P| equals the clusters in use


def test_singleton_clusters_are_pure():
    _, top1, cosines = drawn(30, 1, 5, 0)
    alone = torch.arange(30)
    got = quality(alone, top1, elect(alone, top1, cosines), 30)
    assert (got.purity, got.weighted_purity, got.entropy) == (1.0, 1.0, 0.0)
