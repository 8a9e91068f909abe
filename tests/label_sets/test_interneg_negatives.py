"""InterNeg's choice of words against a slow loop, with and without parts of speech."""

import pytest
import torch
from torch import Tensor

from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import ClassBounds, class_bounds
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.interneg import mine_below

NAMES = ("cat", "Dog")
WORDS = ("cat", "dog", *(f"word{i}" for i in range(60)))
PARTS = tuple("adj" if i % 3 == 2 else "noun" for i in range(62))


def draw(*shape: int, seed: int) -> Tensor:
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


FEATURES = draw(62, 10, seed=0)


@pytest.fixture
def bounds() -> ClassBounds:
    return class_bounds(FEATURES[:2], unit(FEATURES[:2] + 0.5 * draw(2, 10, seed=2)), torch.arange(2))


def by_hand(bounds: ClassBounds) -> dict[int, float]:
    """Mean gap of each admissible word that is no name."""
    mean_gap = {}
    for i in range(2, 62):
        below = [float(b - FEATURES[i].double() @ m) for m, b in zip(*bounds, strict=True)]
        if min(below) > 0:
            mean_gap[i] = sum(below) / len(below)
    return mean_gap


def test_without_parts_it_is_one_ranking(bounds: ClassBounds):
    mean = by_hand(bounds)
    assert len(mean) > 20
    label_set = mine_below(NAMES, bounds, WORDS, FEATURES, None, 15, {"seed": 3})
    assert label_set.words == ["cat", "Dog"]
    assert label_set.negatives == tuple(WORDS[i] for i in sorted(mean, key=lambda i: -mean[i])[:15])
    assert label_set.recipe == {"method": "InterNeg", "seed": 3, "negatives": 15, "admissible": len(mean)}


@pytest.mark.parametrize("count", range(1, 23))
def test_adjectives_get_their_share_of_the_admissible_words_rounded_down(bounds: ClassBounds, count: int):
    mean = by_hand(bounds)
    ranked = sorted(mean, key=lambda i: -mean[i])
    adjectives = [i for i in ranked if PARTS[i] == "adj"]
    nouns = [i for i in ranked if PARTS[i] == "noun"]
    share = int(count * len(adjectives) / len(ranked))
    expected = {*adjectives[:share], *nouns[: count - share]}

    label_set = mine_below(NAMES, bounds, WORDS, FEATURES, PARTS, count, {})
    assert label_set.negatives == tuple(WORDS[i] for i in ranked if i in expected)  # the farthest first
    assert label_set.recipe["adjectives"] == {"negatives": share, "admissible": len(adjectives)}


@pytest.mark.parametrize("parts", [None, PARTS])
def test_where_few_words_are_admissible_all_of_them_come(bounds: ClassBounds, parts: tuple[str, ...] | None):
    label_set = mine_below(NAMES, bounds, WORDS, FEATURES, parts, 10**6, {})
    assert set(label_set.negatives or ()) == {WORDS[i] for i in by_hand(bounds)}
    assert label_set.recipe["negatives"] == len(by_hand(bounds))


def test_names_as_far_from_their_images_as_can_be_leave_no_word(bounds: ClassBounds):
    with pytest.raises(LabelSetError, match="none of 60 words is less like the images of all 2 classes"):
        mine_below(NAMES, ClassBounds(bounds.prototypes, -torch.ones(2).double()), WORDS, FEATURES, None, 5, {})


def test_no_negatives_wanted_is_refused(bounds: ClassBounds):
    with pytest.raises(LabelSetError, match="expected at least 1"):
        mine_below(NAMES, bounds, WORDS, FEATURES, None, 0, {})
