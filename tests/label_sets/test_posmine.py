"""From votes to positives: PosMine by hand."""

import pytest
import torch

from ood_lightning.data.artifacts.label_set import Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.label_sets.posmine import posmine

WORDS = ("cat", "dog", "cow", "hen", "pig")


def test_posmine_keeps_words_that_enough_images_name():
    nearest = torch.tensor([4, 1, 1, 2, 2, 2, 0])
    label_set = posmine(nearest, WORDS, 2, {"seed": 1})
    assert label_set.positives == (Positive("cow", images=3), Positive("dog", images=2))
    assert label_set.negatives is None
    assert label_set.recipe["min_images"] == 2
    assert label_set.supervision == ("id_images",)
    assert [p.label for p in posmine(nearest, WORDS, 1, {}).positives] == ["cow", "dog", "cat", "pig"]


def test_posmine_says_how_far_the_threshold_is_off():
    with pytest.raises(LabelSetError, match=r"nearest of 4 images \(the most frequent has 3 of 5\): lower min_images"):
        posmine(torch.tensor([2, 2, 2, 1, 0]), WORDS, 4, {})


def test_posmine_keeps_a_fixed_number_of_words_if_asked():
    nearest = torch.tensor([4, 1, 1, 2, 2, 2, 0, 4])
    label_set = posmine(nearest, WORDS, 1, {}, max_positives=3)
    assert label_set.positives == (Positive("cow", images=3), Positive("dog", images=2), Positive("pig", images=2))
    assert label_set.recipe["most"] == 3
    assert "most" not in posmine(nearest, WORDS, 1, {}).recipe
    assert posmine(nearest, WORDS, 2, {}, max_positives=4).words == [
        "cow",
        "dog",
        "pig",
    ]  # no fourth word has two images
    with pytest.raises(LabelSetError, match="max_positives is 0, expected at least 1"):
        posmine(nearest, WORDS, 1, {}, max_positives=0)
