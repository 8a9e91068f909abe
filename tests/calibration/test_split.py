"""Whole groups are held out, as many as are needed, drawn alike on every machine."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.calibration.split import n_held_out, one_of_each, split
from ood_lightning.errors import CalibrationError, SettingsError

GROUPS = st.lists(st.integers(-5, 90), max_size=200)


@settings(deadline=None)
@given(GROUPS, st.integers(0, 5), st.sampled_from([0.5, 0.9, 0.95, 1.0]))
def test_every_image_is_on_one_side_and_its_group_with_it(ids: list[int], seed: int, tpr: float):
    groups = torch.tensor(ids, dtype=torch.int64)
    mining, calibration, unused = split(groups, seed, tpr)
    assert sorted([*mining.tolist(), *calibration.tolist(), *unused.tolist()]) == list(range(len(ids)))
    assert all((rows.diff() > 0).all() for rows in (mining, calibration, unused))

    learned, held_out = set(groups[mining].tolist()), groups[calibration].tolist()
    assert not learned & set(held_out)
    assert len(held_out) == len(set(held_out)) == n_held_out(len(set(ids)), tpr)
    assert set(groups[unused].tolist()) <= set(held_out)


@pytest.mark.parametrize(
    ("n_groups", "expected"), [(0, 0), (1, 0), (2, 1), (5, 2), (117, 58), (118, 59), (295, 59), (300, 60), (3000, 600)]
)
def test_a_fifth_is_held_out_but_at_least_59_where_as_many_are_left(n_groups: int, expected: int):
    assert n_held_out(n_groups) == expected
    assert len(split(torch.arange(n_groups), seed=0).calibration) == expected


def test_a_higher_rate_needs_more():
    assert n_held_out(1000, tpr=0.99) == 299
    assert n_held_out(400, tpr=0.99) == 200
    assert n_held_out(1000, tpr=1.0) == 200
    assert n_held_out(1000, fraction=0.5) == 500
    assert n_held_out(300, tpr=0.9) == 60


def test_the_seed_decides_and_the_numbers_of_groups_do_not():
    groups = torch.arange(40).repeat_interleave(3)
    drawn = split(groups, seed=1)
    assert all(map(torch.equal, drawn, split(groups, seed=1)))
    assert all(map(torch.equal, drawn, split(1000 + 7 * groups.int(), seed=1)))
    assert not torch.equal(drawn.calibration, split(groups, seed=2).calibration)


def test_the_draw_is_the_same_on_every_machine():
    assert split(torch.arange(10).repeat_interleave(2), seed=0).calibration.tolist() == [3, 7, 8, 11, 14]


def test_large_groups_are_drawn_as_often_as_small_ones():
    groups = torch.cat([torch.zeros(50, dtype=torch.int64), torch.arange(1, 10)])  # one group of 50, nine of one
    n_with_large = sum(bool((groups[split(groups, seed).calibration] == 0).any()) for seed in range(400))
    assert n_with_large == pytest.approx(200, abs=4 * 10)  # five of ten groups; four standard deviations


def test_any_image_of_a_group_may_be_the_one_that_counts():
    groups = torch.zeros(4, dtype=torch.int64)
    counts = torch.bincount(torch.cat([one_of_each(groups, seed) for seed in range(400)]), minlength=4)
    assert counts.sum() == 400
    assert counts.min() > 60  # of 100 expected


def test_one_of_each_group():
    rows = one_of_each(torch.tensor([5, 5, 2, 9, 2]), seed=3)
    assert rows.tolist() == sorted(rows.tolist())
    assert sorted(torch.tensor([5, 5, 2, 9, 2])[rows].tolist()) == [2, 5, 9]
    assert one_of_each(torch.tensor([], dtype=torch.int64), seed=0).tolist() == []


def test_bad_arguments_are_refused():
    with pytest.raises(CalibrationError, match=r"torch\.float32 of shape \(3,\)"):
        split(torch.zeros(3), seed=0)
    with pytest.raises(CalibrationError, match="one integer for each image"):
        one_of_each(torch.zeros(2, 2, dtype=torch.int64), seed=0)
    with pytest.raises(SettingsError, match=r"split: fraction is 0\.7, expected 0 to 0\.5"):
        split(torch.arange(3), seed=0, fraction=0.7)
