"""What breaks the promises is detected, and nothing else is."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.calibration.checks import exchangeability, known_again, marks, overlap


def features(n: int, seed: int) -> Tensor:
    drawn = torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))
    return normalize(drawn, dim=1).half()


def test_images_apart_are_no_matter():
    assert overlap(features(30, 0), features(500, 1)) == []
    assert overlap(features(30, 0), features(0, 1)) == []
    assert overlap(features(0, 0), features(5, 1)) == []


def test_images_that_were_learned_from_are_counted():
    calibration = features(30, 0)
    (line,) = overlap(calibration, torch.cat([features(500, 1), calibration[:3]]))
    assert line.startswith("BROKEN: 3 of 30 calibration images were learned from (equal features)")


def test_near_duplicates_across_the_split_are_counted_apart():
    calibration = features(30, 0)
    similar = normalize(calibration[5:7].float() + 0.01 * features(2, 3).float(), dim=1).half()
    lines = overlap(calibration, torch.cat([features(500, 1), calibration[:3], similar]))
    assert len(lines) == 2
    assert lines[1].startswith("BROKEN: 2 of 30 calibration images have a near-duplicate among")
    assert "cosine 0.98 or more" in lines[1]
    assert len(overlap(calibration, similar, min_cosine=0.999999)) == 0


def test_images_that_a_detector_remembers_are_counted():
    calibration = features(30, 0)
    assert known_again(calibration, marks(features(500, 1))) == []
    (line,) = known_again(calibration, marks(torch.cat([features(500, 1), calibration[:3]])))
    assert line.startswith("BROKEN: 3 of 30 calibration images were learned from (equal features)")
    assert len(set(marks(features(500, 1)))) == 500


def test_other_images_are_seen_by_their_scores():
    draw = torch.Generator().manual_seed(0)
    held_out = torch.randn(100, generator=draw)
    p, line = exchangeability(torch.randn(100, generator=draw) + 1, held_out)
    assert p < 0.001
    assert line.startswith("BROKEN: the calibration images score unlike")
    assert "100 against 100 images" in line

    p, line = exchangeability(torch.randn(100, generator=draw), held_out)
    assert p > 0.05
    assert line.startswith("No difference was seen")


def test_low_scores_alone_are_seen_too():
    draw = torch.Generator().manual_seed(1)
    held_out = torch.randn(400, generator=draw)
    mixed = torch.where(torch.rand(400, generator=draw) < 0.3, -5 + torch.randn(400, generator=draw), held_out)
    assert exchangeability(mixed, held_out)[0] < 0.001


def test_exchangeable_scores_are_said_to_differ_as_often_as_the_test_says():
    draw = torch.Generator().manual_seed(2)
    p = torch.tensor([exchangeability(*torch.randn(2, 40, generator=draw))[0] for _ in range(300)])
    assert float((p < 0.05).double().mean()) == pytest.approx(0.03, abs=0.04)
