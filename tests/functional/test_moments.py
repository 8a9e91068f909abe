"""Means and deviations in blocks against those of one tensor."""

import pytest
import torch

from ood_lightning.functional import moments as module
from ood_lightning.functional.moments import class_sums, merged, moments
from ood_lightning.functional.rows import JoinedRows


@pytest.fixture(params=[1, 7, 60, 2**20])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Numbers in a block; three of them are a row."""
    monkeypatch.setattr(module, "_BLOCK", request.param)
    return request.param


@pytest.mark.parametrize("n", [2, 3, 64, 101])
def test_mean_and_deviation_are_those_of_all_rows_far_from_zero_too(block: int, n: int):
    rows = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)).half() + 100
    deviation, mean = torch.std_mean(rows.double(), dim=0)
    for held in (rows, JoinedRows(list(rows.split(5)))):
        got = moments(held)
        torch.testing.assert_close(got.mean, mean, rtol=1e-14, atol=0)
        torch.testing.assert_close(got.deviation, deviation, rtol=1e-12, atol=0)
        assert got.n == n


def test_parts_of_a_set_together_make_its_moments():
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    got = merged([moments(part) for part in rows.split([1, 30, 19])])
    torch.testing.assert_close(got.deviation, rows.double().std(dim=0))


def test_one_row_has_no_deviation_and_a_constant_has_none_to_speak_of():
    assert moments(torch.ones(1, 2)).deviation.isnan().all()
    assert moments(torch.full((9, 2), 0.1)).deviation.tolist() == [0.0, 0.0]


def test_the_number_of_threads_changes_no_bit():
    rows = torch.randn(70_001, 40, generator=torch.Generator().manual_seed(2))
    threads, answers = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            answers.append(moments(rows))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one.mean, answers[0].mean) for one in answers)
    assert all(torch.equal(one.squares, answers[0].squares) for one in answers)


def test_sums_of_classes_leave_out_rows_without_one(block: int):
    rows = torch.randn(41, 3, generator=torch.Generator().manual_seed(3))
    classes = torch.arange(41) % 5 - 1
    expected = torch.stack([rows[classes == c].double().sum(dim=0) for c in range(3)])
    torch.testing.assert_close(class_sums(rows, classes, 3), expected)
