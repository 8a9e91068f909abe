"""Words that look wrong are found by their votes and pictures, and come first."""

import itertools
import math

import pytest
import torch
from bare_evidence import ready
from random_features import random_unit
from small_label_set import LABELS

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.reasons.words import MAX_IMAGES, by_doubt, doubts_of, looked_at, words_of

TEXTS = [f"positive {i}" for i in range(5)], [f"negative {i}" for i in range(23)]


def images(features: torch.Tensor) -> Features:
    n = len(features)
    return Features("birds", features, torch.full((n,), -1), [str(i) for i in range(n)], [])


def positives(*votes: int) -> LabelSet:
    return LabelSet(tuple(Positive(f"positive {i}", 1, n, 0.9) for i, n in enumerate(votes)), (), {})


def test_pictures_stand_under_their_nearest_positive_the_nearest_first():
    features = random_unit(40, 8, seed=5)
    looks = looked_at(images(features), LABELS.positives)
    cosines = features.double() @ LABELS.positives.double().T
    for word in range(5):
        rows = looks.of_word(word)
        assert set(rows) == set((cosines.argmax(dim=1) == word).nonzero()[:, 0].tolist())
        assert [round(float(cosines[row, word]), 6) for row in rows] == sorted(
            (round(float(cosines[row, word]), 6) for row in rows), reverse=True
        )


def test_of_a_large_set_evenly_spaced_pictures_are_looked_at():
    looks = looked_at(images(random_unit(1, 8, seed=0).expand(MAX_IMAGES + 1, 8)), LABELS.positives)
    assert len(looks.rows) == MAX_IMAGES // 2 + 1
    assert set(looks.rows.diff().tolist()) == {2}


def test_a_word_has_its_support_its_place_and_its_neighbours():
    label_set = ready(LABELS, TEXTS)
    object.__setattr__(label_set, "label_set", positives(10, 10, 10, 10, 10))
    looks = looked_at(images(random_unit(40, 8, seed=5)), LABELS.positives)
    words, by_text, by_pictures = words_of(label_set, looks)

    cosines = LABELS.positives.double() @ torch.cat([LABELS.positives, LABELS.negatives]).double().T
    assert 0 < by_text <= 1
    assert 0 < by_pictures <= 1
    assert sum(word.n_nearest for word in words) == 40
    for i, word in enumerate(words):
        others = sorted((n for n in range(5) if n != i), key=lambda n: -float(cosines[i, n]))
        assert [one.word for one in word.positives] == [TEXTS[0][n] for n in others]
        nearest = int(cosines[i, 5:].argmax())
        assert word.negatives[0].word == TEXTS[1][nearest]


def test_on_the_map_by_pictures_a_word_stands_at_the_middle_of_its_pictures():
    """Distances on the map are those of the means, as far as two dimensions hold them: here, of three words, wholly."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.eye(8)[:5]
    features = torch.nn.functional.normalize(
        axes[[0] * 9 + [1] * 7 + [3] * 5] + 0.2 * torch.rand(21, 8, generator=generator), dim=1
    )
    label_set = ready(LABELS._replace(positives=axes), TEXTS)
    object.__setattr__(label_set, "label_set", positives(10, 10, 10, 10, 10))
    words, _, by_pictures = words_of(label_set, looked_at(images(features), axes))

    assert [word.of_pictures is None for word in words] == [False, False, True, False, True]
    assert by_pictures == pytest.approx(1)
    middles = {0: features[:9].double().mean(dim=0), 1: features[9:16].double().mean(dim=0)}
    middles[3] = features[16:].double().mean(dim=0)
    for one, other in itertools.combinations(middles, 2):
        on_map = math.dist(words[one].of_pictures, words[other].of_pictures)
        assert on_map == pytest.approx(float((middles[one] - middles[other]).norm()), abs=1e-6)


def test_doubts_are_few_votes_split_votes_and_pictures_that_are_far():
    votes = [Positive(f"w{i}", 1, 40, 0.9) for i in range(8)]
    votes[0] = Positive("few", 1, 9, 0.9)
    votes[1] = Positive("split", 1, 40, 0.49)
    cosines: list[float | None] = [0.3, 0.31, 0.29, 0.3, 0.32, 0.28, 0.1, None]
    doubts = doubts_of(votes, cosines)
    assert doubts[0] == ("few votes",)
    assert doubts[1] == ("split votes",)
    assert doubts[6] == ("far from its pictures",)
    assert doubts[7] == ("no picture is nearest to it",)
    assert doubts[2:6] == [()] * 4


def test_given_names_have_no_votes_to_doubt():
    assert doubts_of([Positive("owl"), Positive("wren")], [0.3, 0.3]) == [(), ()]


def test_words_in_doubt_come_first():
    label_set = ready(LABELS, TEXTS)
    object.__setattr__(label_set, "label_set", positives(40, 1, 40, 40, 40))
    words = words_of(label_set, looked_at(images(random_unit(40, 8, seed=5)), LABELS.positives)).words
    assert by_doubt(words)[0].label == "positive 1"
