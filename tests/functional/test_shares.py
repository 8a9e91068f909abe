"""Shares add up to the masses and these to the score; a score without a word equals one that never had the word."""

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional.shares import mass_without_each, moved_mass, shares, text_logits
from ood_lightning.functional.similarity import log_mass

SCALES = pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])


def sides(scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Features (7, 16), and the terms of 5 positives and 31 negatives."""
    features, texts = random_unit(7, 16, seed=0), random_unit(36, 16, seed=1)
    return features, text_logits(features, texts[:5], scale), text_logits(features, texts[5:], scale)


def rescored(features: Tensor, keep: Tensor, scale: float) -> Tensor:
    """The log-mass of some of the texts, by the function that scores a run."""
    return log_mass(features.double(), random_unit(36, 16, seed=1)[keep].double(), scale)


@SCALES
def test_the_shares_add_up_to_the_masses_and_these_to_the_score(scale: float):
    features, positives, negatives = sides(scale)
    of_positives, of_negatives = shares(positives, negatives)
    rows = torch.arange(36)
    score = rescored(features, rows[:5], scale) - rescored(features, rows[5:], scale)

    torch.testing.assert_close(of_positives.sum(dim=1), score.sigmoid(), atol=1e-12, rtol=0)
    torch.testing.assert_close(of_negatives.sum(dim=1), (-score).sigmoid(), atol=1e-12, rtol=0)
    torch.testing.assert_close(positives.logsumexp(1) - negatives.logsumexp(1), score, atol=1e-9, rtol=0)


@SCALES
def test_a_mass_without_a_text_is_that_of_the_others(scale: float):
    features, positives, negatives = sides(scale)
    for of_side, first, n in ((positives, 0, 5), (negatives, 5, 31)):
        best = of_side.topk(3).indices
        without = mass_without_each(of_side, best)
        for image in range(7):
            for position in range(3):
                keep = [first + text for text in range(n) if text != int(best[image, position])]
                expected = rescored(features[image : image + 1], torch.tensor(keep), scale)
                torch.testing.assert_close(without[image, position][None], expected, atol=1e-9, rtol=0)


def test_a_text_that_had_nearly_all_of_a_mass_leaves_the_rest_exact():
    of_side = torch.tensor([[900.0, 1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[1.0, 0.0]], dtype=torch.float64).logsumexp(1)
    assert torch.equal(mass_without_each(of_side, torch.tensor([[0]]))[0], expected)


def test_without_the_only_text_nothing_is_left():
    only = torch.tensor([[3.0]], dtype=torch.float64)
    assert mass_without_each(only, torch.tensor([[0]])).tolist() == [[-torch.inf]]


def test_blocks_of_texts_give_the_same_terms():
    features, texts = random_unit(3, 8, seed=2), random_unit(10, 8, seed=3)
    assert torch.equal(text_logits(features, texts, 10.0, block=3), text_logits(features, texts, 10.0))


def test_a_moved_mass_equals_the_mass_of_the_texts_that_are_there_then():
    _, _, negatives = sides(10.0)
    before = negatives.logsumexp(dim=1)
    moved = moved_mass(before, negatives[:, [2, 9]], negatives[:, [4]])

    keep = [text for text in range(31) if text not in (2, 9)] + [4]
    torch.testing.assert_close(moved.mass, negatives[:, keep].logsumexp(dim=1), atol=1e-9, rtol=0)
    assert not moved.unsure.any()


def test_where_nearly_nothing_is_left_a_moved_mass_says_that_it_is_unsure():
    logits_of_image = torch.tensor([[20.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    none = torch.empty(2, 0, dtype=torch.float64)
    moved = moved_mass(logits_of_image.logsumexp(dim=1), logits_of_image[:, :1], none)
    assert moved.unsure.tolist() == [True, False]
    torch.testing.assert_close(moved.mass[1], torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, float("inf")])
def test_a_scale_that_can_be_none_is_refused(scale: float):
    with pytest.raises(ValueError, match="CLIP's multiplier"):
        text_logits(random_unit(1, 4, seed=0), random_unit(2, 4, seed=1), scale)
