"""What must hold of mined label sets, whatever the votes."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.errors import LabelSetError
from ood_lightning.label_sets.clustermine import clustermine
from ood_lightning.label_sets.negatives import rest_of
from ood_lightning.label_sets.posmine import posmine

WORDS = tuple(f"w{i}" for i in range(9))
VOTES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), min_size=1, max_size=50)


def mined(votes: list[tuple[int, int]], words: tuple[str, ...] = WORDS, names: list[int] | None = None) -> LabelSet:
    clusters = [names[c] if names else c for c, _ in votes]
    cosines = torch.linspace(0.1, 0.9, len(votes), dtype=torch.float64)
    return clustermine(torch.tensor(clusters), torch.tensor([w for _, w in votes]), cosines, words, {})


@given(VOTES, st.permutations(range(7)))
@settings(deadline=None)
def test_clustermine(votes: list[tuple[int, int]], names: list[int]):
    label_set = mined(votes)
    clusters, assigned = {c for c, _ in votes}, {WORDS[w] for _, w in votes}
    assert len(label_set.positives) <= min(len(clusters), len(assigned))
    assert set(label_set.words) <= assigned  # every label is the nearest word of an image
    negatives = [WORDS[i] for i in rest_of(WORDS, label_set.words).tolist()]
    assert sorted([*label_set.words, *negatives]) == sorted(WORDS)  # P and N part the corpus
    assert mined(votes, names=names).positives == label_set.positives  # whatever the clusters are called
    more = (*WORDS, "never", "named")
    assert mined(votes, more).positives == label_set.positives
    assert len(rest_of(more, label_set.words)) == len(negatives) + 2
    assert len(mined([(0, w) for _, w in votes]).positives) == 1
    alone = mined([(i, w) for i, (_, w) in enumerate(votes)], names=list(range(len(votes))))
    assert set(alone.words) == set(posmine(torch.tensor([w for _, w in votes]), WORDS, 1, {}).words) == assigned


@given(VOTES)
@settings(deadline=None)
def test_posmine(votes: list[tuple[int, int]]):
    nearest = torch.tensor([w for _, w in votes])
    largest = int(nearest.bincount().max())
    sets = [set(posmine(nearest, WORDS, m, {}).words) for m in range(1, largest + 1)]
    assert sets[0] == {WORDS[w] for _, w in votes}
    assert all(few <= many for many, few in pairwise(sets))  # fewer and fewer as M grows
    with pytest.raises(LabelSetError, match="lower min_images"):
        posmine(nearest, WORDS, len(votes) + 1, {})
