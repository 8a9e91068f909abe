"""Agreement of clusters with true labels, against slow oracles and scikit-learn."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.quality import (
    adjusted_rand_index,
    clustering_accuracy,
    contingency,
    cosine_histogram,
    normalised_mutual_information,
)


def drawn(n: int, clusters: int, classes: int, seed: int, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (n,), generator=g)
    alike = truth % clusters
    return torch.where(torch.rand(n, generator=g) < noise, torch.randint(clusters, (n,), generator=g), alike), truth


def slow_agreement(clusters: list[int], classes: list[int]) -> tuple[float, float, float]:
    """NMI by probabilities, ARI by counting pairs of images, accuracy by trying every matching."""
    n = len(clusters)
    joint = dict.fromkeys(itertools.product(set(clusters), set(classes)), 0.0)
    for pair in zip(clusters, classes, strict=True):
        joint[pair] += 1 / n

    row = {c: clusters.count(c) / n for c in set(clusters)}
    column = {y: classes.count(y) / n for y in set(classes)}
    mutual = sum(p * math.log(p / row[c] / column[y]) for (c, y), p in joint.items() if p)
    entropies = [-sum(p * math.log(p) for p in part.values()) for part in (row, column)]

    pairs = list(itertools.combinations(range(n), 2))
    both = sum(clusters[i] == clusters[j] and classes[i] == classes[j] for i, j in pairs)
    same = [sum(part[i] == part[j] for i, j in pairs) for part in (clusters, classes)]
    chance = same[0] * same[1] / len(pairs)
    rand = (both - chance) / (sum(same) / 2 - chance)

    small, large = sorted((set(clusters), set(classes)), key=len)
    share = joint if small == set(clusters) else {(y, c): p for (c, y), p in joint.items()}
    orders = itertools.permutations(large, len(small))
    best = max(sum(share[a, b] for a, b in zip(small, order, strict=True)) for order in orders)
    return 2 * mutual / sum(entropies), rand, best


@pytest.mark.parametrize(("clusters", "classes", "seed"), [(3, 4, 0), (6, 3, 1), (5, 5, 2), (2, 6, 3)])
def test_agreement_equals_a_count_over_pairs_and_every_matching(clusters: int, classes: int, seed: int):
    guess, truth = drawn(40, clusters, classes, seed)
    table = contingency(guess * 7, truth + 5)  # names of clusters do not matter
    got = (normalised_mutual_information(table), adjusted_rand_index(table), clustering_accuracy(table))
    assert got == pytest.approx(slow_agreement(guess.tolist(), truth.tolist()), abs=1e-12)


def test_agreement_equals_scikit_learns_and_torchmetrics():
    metrics = pytest.importorskip("sklearn.metrics")
    library = pytest.importorskip("torchmetrics.functional.clustering")
    clusters, truth = drawn(3000, 40, 12, 4)
    table = contingency(clusters, truth)
    assert normalised_mutual_information(table) == pytest.approx(metrics.normalized_mutual_info_score(truth, clusters))
    assert adjusted_rand_index(table) == pytest.approx(metrics.adjusted_rand_score(truth, clusters))
    assert normalised_mutual_information(table) == pytest.approx(
        float(library.normalized_mutual_info_score(clusters, truth)), abs=1e-5
    )
    assert adjusted_rand_index(table) == pytest.approx(float(library.adjusted_rand_score(clusters, truth)), abs=1e-5)


def test_the_rand_index_of_imagenets_many_pairs_does_not_overflow():
    # 1,281,167 images: the product of two numbers of pairs passes 2^63
    metrics = pytest.importorskip("sklearn.metrics")
    clusters, truth = drawn(1_281_167, 4000, 1000, 5)
    assert adjusted_rand_index(contingency(clusters, truth)) == pytest.approx(
        metrics.adjusted_rand_score(truth, clusters)
    )


def test_equal_partitions_agree_fully_and_a_constant_one_is_independent():
    _, truth = drawn(50, 4, 5, 6)
    renamed = contingency((truth * 3) % 5 + 100, truth)
    assert normalised_mutual_information(renamed) == pytest.approx(1)
    assert adjusted_rand_index(renamed) == 1
    assert clustering_accuracy(renamed) == 1

    one = contingency(torch.zeros(50, dtype=torch.long), truth)
    assert normalised_mutual_information(one) == pytest.approx(0, abs=1e-15)
    assert adjusted_rand_index(one) == 0
    assert clustering_accuracy(one) == pytest.approx(float(truth.bincount().max()) / 50)

    same = contingency(torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long))
    assert (normalised_mutual_information(same), adjusted_rand_index(same), clustering_accuracy(same)) == (1, 1, 1)
    singles = contingency(torch.arange(4), torch.arange(4))
    assert adjusted_rand_index(singles) == 1


def test_wrong_tables_are_refused_in_words():
    with pytest.raises(ValueError, match="of at least one image"):
        contingency(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(3,\) and classes \(2,\)"):
        contingency(torch.zeros(3, dtype=torch.long), torch.zeros(2, dtype=torch.long))


def test_a_histogram_counts_every_cosine_once_and_edges_belong_to_the_bin_above():
    cosines = torch.tensor([-1.0, -0.98, 0.0, 0.58, 0.579, 0.9999, 1.0, 1.0000001])
    counts = cosine_histogram(cosines)
    assert len(counts) == 100
    assert {int(i): int(counts[i]) for i in counts.nonzero()[:, 0]} == {0: 1, 1: 1, 50: 1, 78: 1, 79: 1, 99: 3}
    assert cosine_histogram(cosines[:0]).sum() == 0
