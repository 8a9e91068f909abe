"""From clusters and votes to positives: ClusterMine by hand and against a slow count."""

from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.data.artifacts.label_set import Positive
from ood_lightning.label_sets.clustermine import clustermine

WORDS = ("cat", "dog", "cow", "hen", "pig")


def test_clustermine_by_hand():
    """Clusters 0 and 2 both elect dog and merge; cluster 9 ties 1:1 and goes to the larger cosine."""
    assignments = torch.tensor([0, 0, 0, 2, 2, 9, 9, 4])
    nearest = torch.tensor([1, 1, 0, 1, 1, 3, 2, 4])
    cosines = torch.tensor([0.5, 0.5, 0.9, 0.1, 0.1, 0.2, 0.3, 0.7], dtype=torch.float64)
    label_set = clustermine(assignments, nearest, cosines, WORDS, {"seed": 1})
    assert label_set.positives == (Positive("dog", 2, 5, 0.8), Positive("cow", 1, 2, 0.5), Positive("pig", 1, 1, 1.0))
    assert label_set.negatives is None
    assert label_set.recipe == {"method": "ClusterMine", "seed": 1, "supervision": ["id_images"]}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=60))
@settings(deadline=None)
def test_clustermine_against_a_slow_count(votes: list[tuple[int, int]]):
    assignments, nearest = (torch.tensor(column) for column in zip(*votes, strict=True))
    cosines = torch.arange(1, len(votes) + 1, dtype=torch.float64) / 64  # sums are exact, so ties are ties
    label_set = clustermine(assignments, nearest, cosines, WORDS, {})

    support: dict[int, list[int]] = {}  # word -> clusters, images, images that agree
    for cluster in sorted({c for c, _ in votes}):
        in_cluster = [(w, float(cosine)) for (c, w), cosine in zip(votes, cosines, strict=True) if c == cluster]
        count = Counter(w for w, _ in in_cluster)
        mass = {word: sum(cosine for w, cosine in in_cluster if w == word) for word in count}
        winner = min(count, key=lambda w: (-count[w], -mass[w], w))
        entry = support.setdefault(winner, [0, 0, 0])
        for i, n in enumerate((1, len(in_cluster), count[winner])):
            entry[i] += n

    expected = {
        WORDS[w]: (clusters, images, round(agree / images, 4)) for w, (clusters, images, agree) in support.items()
    }
    assert {p.label: (p.clusters, p.images, p.agreement) for p in label_set.positives} == expected
    assert sum(p.images or 0 for p in label_set.positives) == len(votes)
    order = [(-(p.images or 0), WORDS.index(p.label)) for p in label_set.positives]
    assert order == sorted(order)
