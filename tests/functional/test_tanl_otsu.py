"""Otsu's threshold against a search over its candidates."""

import pytest
import torch
from threshold_by_search import threshold_by_search

from ood_lightning.functional.tanl import otsu_threshold


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_the_grid(seed: int):
    draw = torch.Generator().manual_seed(seed)
    low, high = torch.rand(30, generator=draw) * 0.4, 0.5 + torch.rand(20 - seed, generator=draw) * 0.5
    scores = torch.cat([low, high])
    assert otsu_threshold(scores) == threshold_by_search(scores.double().tolist())


def test_a_score_that_equals_the_threshold_is_in_the_lower_part():
    scores = torch.tensor([0.25, 0.25, 0.75, 0.75], dtype=torch.float64)  # cut at 0.25, 0.26, ..., 0.74
    assert otsu_threshold(scores) == threshold_by_search(scores.tolist()) == 0.5
    assert otsu_threshold(scores, steps=4) == 0.5  # of 0.25 and 0.5, which part alike, the second; not 0.75


def test_of_candidates_that_part_alike_it_is_the_middle_one():
    assert otsu_threshold(torch.full((7,), 0.4)) == 0.5  # one part is empty, wherever the cut lies


@pytest.mark.parametrize("wrong", [torch.tensor([1.5]), torch.tensor([-0.1]), torch.empty(0)])
def test_scores_that_are_no_shares_have_no_threshold(wrong: torch.Tensor):
    with pytest.raises(ValueError, match=r"all in \[0, 1\]"):
        otsu_threshold(wrong)
