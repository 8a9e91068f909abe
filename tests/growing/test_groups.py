"""Groups that a corpus describes badly, on features one can check by hand."""

import pytest
import torch

from ood_lightning.growing.groups import PICTURES, WORDS, groups_of

WORD_FEATURES = torch.eye(6)[:4]  # two dimensions that no word points to
NAMES = ("horse", "tiger", "bear", "wolf")


def test_a_group_whose_pictures_disagree_is_weak_and_names_its_words_by_votes():
    image = torch.eye(6)[[0, 0, 1, 2, 3, 0, 0, 0]]
    groups = groups_of(image, torch.tensor([0, 0, 0, 0, 0, 1, 1, 1]), WORD_FEATURES, NAMES)
    torn, sure = groups
    assert (torn.number, torn.size, torn.purity) == (0, 5, 0.4)
    assert torn.reason == "only 40 % name its word"
    assert torn.words == (("horse", 2), ("tiger", 1), ("bear", 1), ("wolf", 1))
    assert (sure.purity, sure.likeness, sure.reason) == (1.0, 1.0, "")


def test_the_quarter_least_like_their_words_is_weak_however_sure():
    far = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0, 0, 2.0, 0]]))
    image = torch.cat([torch.eye(6)[[1, 1, 2, 2, 3, 3]], far, far])
    groups = groups_of(image, torch.arange(4).repeat_interleave(2), WORD_FEATURES, NAMES)
    assert [bool(group.reason) for group in groups] == [False, False, False, True]
    assert "among the 25 % least like their pictures (cosine 0.45)" in groups[3].reason
    assert groups[3].words[0] == ("horse", 2)
    assert groups[3].likeness == pytest.approx(1 / 5**0.5)


def test_words_and_pictures_are_few_and_the_nearest_to_the_middle_come_first():
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(40, 16, generator=generator), dim=1)
    words = torch.nn.functional.normalize(torch.randn(30, 16, generator=generator), dim=1)
    group = groups_of(image, torch.zeros(40, dtype=torch.int64), words, [str(i) for i in range(30)])[0]
    assert len(group.words) == WORDS
    assert len(group.pictures) == PICTURES
    middle = image.mean(dim=0)
    assert list(group.pictures) == (image @ middle).topk(PICTURES).indices.tolist()
