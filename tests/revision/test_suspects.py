"""Suspects are what scores above the median ID image, in falling order."""

import torch

from ood_lightning.revision.suspects import suspected


def test_suspects_are_above_the_median_and_ranked():
    id_scores = torch.tensor([4.0, 1.0, 3.0, 2.0, 5.0])
    ood_scores = torch.tensor([3.0, 9.0, 3.5, -1.0, 9.0, 4.0])
    assert suspected(id_scores, ood_scores).tolist() == [1, 4, 5, 2]
    assert suspected(id_scores, torch.tensor([3.0])).tolist() == []
