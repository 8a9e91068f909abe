"""The multi-matching score against a loop over images and pairs."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from ood_lightning.functional.confidence import multi_match


def test_equals_a_loop_over_images_and_pairs():
    draw = torch.Generator().manual_seed(0)
    h = normalize(torch.randn(6, 8, generator=draw), dim=-1)
    pairs = normalize(torch.randn(6, 3, 2, 8, generator=draw), dim=-1)
    negatives = normalize(torch.randn(6, 2, 8, generator=draw), dim=-1)

    expected = []
    for x, texts, alone in zip(h.double(), pairs.double(), negatives.double(), strict=True):
        shares = []
        for i in range(3):
            for j in range(2):
                joint, single = math.exp(10 * float(x @ texts[i, j])), math.exp(10 * float(x @ alone[j]))
                shares.append(joint / (joint + single))
        expected.append(max(shares))

    matched = multi_match(h, pairs, negatives, 10.0)
    torch.testing.assert_close(matched, torch.tensor(expected, dtype=torch.float64))


def test_a_joint_text_like_its_negative_gives_one_half():
    h = normalize(torch.randn(4, 8), dim=-1)
    negatives = normalize(torch.randn(4, 2, 8), dim=-1)
    matched = multi_match(h, negatives[:, None].expand(-1, 3, -1, -1), negatives, 100.0)
    assert matched.tolist() == [0.5] * 4


def test_images_without_pairs_are_refused():
    with pytest.raises(ValueError, match="at least one pair"):
        multi_match(torch.randn(2, 8), torch.randn(2, 0, 3, 8), torch.randn(2, 3, 8), 1.0)
