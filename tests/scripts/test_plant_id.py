"""Planted ID pictures: what the script counts, against numbers that one sees."""

import torch

from scripts.plant_id import find_planted


def test_planted_pictures_that_score_as_id_are_audited_and_corrected():
    ids, planted = torch.tensor([10.0, 11.0, 12.0]), torch.tensor([11.5, 13.0])
    audited = find_planted(ids, planted, torch.tensor([0.0, 1.0, 2.0]))
    assert audited == (1.0, 1.0, 0.4, 10 / 15, 1.0, 1.0)


def test_one_that_scores_as_ood_stays_hidden():
    audited = find_planted(torch.tensor([10.0, 11.0, 12.0]), torch.tensor([1.5]), torch.tensor([0.0, 1.0, 2.0]))
    assert audited.precision == audited.recall == audited.suspects == 0.0
