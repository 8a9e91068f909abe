"""Votes of images for texts against a loop."""

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional.picture_votes import voted_for

IMAGES = random_unit(60, 6, seed=1)
POSITIVES = random_unit(3, 6, seed=2)
CANDIDATES = random_unit(9, 6, seed=3)


def by_loop(images: Tensor, positives: Tensor, candidates: Tensor, nearest: int) -> list[bool]:
    texts = [*positives.double(), *candidates.double()]
    votes = []
    for image in images.double():
        cosines = [float(image @ text) for text in texts]
        votes.append(cosines.index(max(cosines)) - len(positives))

    voted = []
    for row, word in enumerate(candidates.double()):
        jury = sorted(range(len(images)), key=lambda i: -float(images[i].double() @ word))[:nearest]
        voted.append(2 * sum(votes[i] == row for i in jury) > len(jury))
    return voted


@pytest.mark.parametrize("nearest", [1, 3, 10, 60, 100])
def test_votes_are_those_of_a_loop(nearest: int):
    expected = by_loop(IMAGES, POSITIVES, CANDIDATES, nearest)
    assert voted_for(IMAGES, POSITIVES, CANDIDATES, nearest).tolist() == expected
    assert any(expected) == (nearest < 60)


def test_half_of_the_jury_is_not_enough():
    axes = torch.eye(4)
    images = axes[[1, 1, 0, 0]]
    assert voted_for(images, axes[:1], axes[1:], 4).tolist() == [False, False, False]
    assert voted_for(images, axes[:1], axes[1:], 3).tolist() == [True, False, False]


def test_without_images_nobody_votes():
    with pytest.raises(ValueError, match="no ID images to vote"):
        voted_for(IMAGES[:0], POSITIVES, CANDIDATES, 3)
