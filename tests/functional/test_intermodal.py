"""Bounds of class names and gaps of words against slow loops, and what must hold of them."""

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional.intermodal import ClassBounds, class_bounds, gaps, shots

NAMES, IMAGES, WORDS = random_unit(5, 12, seed=1), random_unit(40, 12, seed=2), random_unit(300, 12, seed=3)
LABELS = torch.arange(40) % 5


def test_bounds_and_gaps_equal_slow_loops():
    bounds = class_bounds(NAMES, IMAGES, LABELS)
    for k in range(5):
        mean = sum(IMAGES[i].double() for i in range(40) if LABELS[i] == k)
        prototype = mean / mean.norm()  # type: ignore[union-attr]
        torch.testing.assert_close(bounds.prototypes[k], prototype, atol=1e-12, rtol=0)
        torch.testing.assert_close(bounds.thresholds[k], NAMES[k].double() @ prototype, atol=1e-12, rtol=0)

    all_gaps = gaps(WORDS, bounds)
    for word, mean_gap, admissible in zip(WORDS, all_gaps.mean, all_gaps.admissible, strict=True):
        below = [float(bounds.thresholds[k] - word.double() @ bounds.prototypes[k]) for k in range(5)]
        assert float(mean_gap) == pytest.approx(sum(below) / 5, abs=1e-11)
        assert bool(admissible) == all(gap > 0 for gap in below)
    assert 0 < int(all_gaps.admissible.sum()) < 300


def test_fewer_words_are_admissible_the_more_classes_there_are():
    bounds = class_bounds(NAMES, IMAGES, LABELS)
    kept = [gaps(WORDS, ClassBounds(bounds.prototypes[:k], bounds.thresholds[:k])).admissible for k in range(1, 6)]
    for fewer, more in zip(kept[1:], kept[:-1], strict=True):
        assert (fewer <= more).all()
    assert kept[4].sum() < kept[0].sum()


@pytest.mark.parametrize("seed", range(20))
def test_a_name_is_never_below_itself(seed: int):
    names = random_unit(7, 33, seed=seed)
    bounds = class_bounds(names, random_unit(7, 33, seed=seed + 100), torch.arange(7))
    assert not gaps(names, bounds).admissible.any()


@pytest.mark.parametrize("block", [1, 7, 300])
def test_blocks_change_nothing(block: int):
    bounds = class_bounds(NAMES, IMAGES, LABELS)
    for in_blocks, at_once in zip(gaps(WORDS, bounds, block=block), gaps(WORDS, bounds), strict=True):
        assert torch.equal(in_blocks, at_once)


def test_no_texts_have_no_gaps():
    mean, admissible = gaps(WORDS[:0], class_bounds(NAMES, IMAGES, LABELS))
    assert (mean.shape, admissible.shape, admissible.dtype) == ((0,), (0,), torch.bool)


def test_a_class_without_images_sets_no_bound():
    kept = LABELS != 3
    without, whole = class_bounds(NAMES, IMAGES[kept], LABELS[kept]), class_bounds(NAMES, IMAGES, LABELS)
    assert torch.equal(without.thresholds, whole.thresholds[[0, 1, 2, 4]])
    assert torch.equal(without.prototypes, whole.prototypes[[0, 1, 2, 4]])


@pytest.mark.parametrize("labels", [torch.tensor([0, 5]), torch.tensor([-1, 2]), torch.empty(0, dtype=torch.int64)])
def test_images_of_no_named_class_are_refused(labels: Tensor):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.4"):
        class_bounds(NAMES, IMAGES[: len(labels)], labels)


def test_shots_are_random_images_of_each_class_and_all_where_there_are_few():
    labels = torch.tensor([0] * 50 + [1] * 3 + [-1] * 4 + [4] * 20)
    rows = shots(labels, 16, seed=0)
    assert {k: int((labels[rows] == k).sum()) for k in (0, 1, 4, -1)} == {0: 16, 1: 3, 4: 16, -1: 0}
    assert torch.equal(rows, rows.unique())

    torch.manual_seed(9)
    assert torch.equal(shots(labels, 16, seed=0), rows)
    assert not torch.equal(shots(labels, 16, seed=1), rows)

    chosen = torch.stack([torch.isin(torch.arange(50), shots(labels, 5, seed)) for seed in range(600)])
    assert (chosen.double().mean(dim=0) - 0.1).abs().max() < 0.06  # each of the 50 equally often
