"""Scores and groups to a calibration with its remarks."""

import math

import pytest
import torch

from ood_lightning.calibration.calibrate import calibrate_scores
from ood_lightning.errors import CalibrationError


def test_one_image_of_each_group_counts():
    scores = torch.tensor([5.0, 5.5, 3.0, 1.0, 3.5, 9.0])
    groups = torch.tensor([7, 7, 2, 0, 2, 4])
    made = calibrate_scores(scores, groups, 0.5, "a folder", remarks=["as told"])
    assert made.n == 4
    assert made.n_images == 6
    assert list(made.scores) == sorted(made.scores)
    assert {1.0, 9.0} < set(made.scores)
    assert made.remarks == ("as told",)
    assert made == calibrate_scores(scores, groups, 0.5, "a folder", remarks=["as told"])


def test_ties_are_said():
    made = calibrate_scores(torch.tensor([1.0, 2.0, 2.0, 2.0]), torch.arange(4), 0.5, "a folder")
    assert made.remarks == ("2 of 4 calibration scores equal another one: more may be accepted.",)


def test_images_from_elsewhere_are_tested():
    draw = torch.Generator().manual_seed(0)
    scores, held_out = torch.randn(80, generator=draw), torch.randn(70, generator=draw)
    alike = calibrate_scores(scores, torch.arange(80), 0.95, "elsewhere", held_out=held_out)
    assert alike.remarks[0].startswith("No difference was seen")
    unlike = calibrate_scores(scores + 2, torch.arange(80), 0.95, "elsewhere", held_out=held_out)
    assert unlike.remarks[0].startswith("BROKEN")
    assert unlike.statements()[-1] == unlike.remarks[0]
    assert calibrate_scores(scores, torch.arange(80), 0.95, "elsewhere", held_out=held_out[:0]).remarks == ()


def test_what_cannot_be_calibrated_on_is_refused():
    with pytest.raises(CalibrationError, match="no calibration scores"):
        calibrate_scores(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.95, "nothing")
    with pytest.raises(CalibrationError, match="3 scores and 2 groups"):
        calibrate_scores(torch.zeros(3), torch.arange(2), 0.95, "s")
    with pytest.raises(CalibrationError, match="NaN"):
        calibrate_scores(torch.tensor([math.nan]), torch.arange(1), 0.95, "s")
    with pytest.raises(CalibrationError, match=r"0\.95, not 95"):
        calibrate_scores(torch.zeros(1), torch.arange(1), 95, "s")
