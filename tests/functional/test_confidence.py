"""Softmax scores against loops over one row at a time."""

import math

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.confidence import log_max_softmax, negative_entropy, softmax_variance


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def _softmax(row: list[float]) -> list[float]:
    mass = [math.exp(value) for value in row]
    return [m / sum(mass) for m in mass]


@pytest.mark.parametrize(
    ("score", "loop"),
    [
        (log_max_softmax, lambda row: math.log(max(_softmax(row)))),
        (negative_entropy, lambda row: sum(p * math.log(p) for p in _softmax(row))),
        (softmax_variance, lambda row: sum((p - 1 / len(row)) ** 2 for p in _softmax(row)) / len(row)),
    ],
)
def test_equals_a_loop(score, loop, logits: Tensor):
    expected = torch.tensor([loop(row) for row in logits.double().tolist()], dtype=torch.float64)
    torch.testing.assert_close(score(logits), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("score", [log_max_softmax, negative_entropy, softmax_variance])
def test_softmax_scores_ignore_a_constant(score, logits: Tensor):
    torch.testing.assert_close(score(logits.double() + 5), score(logits))


def test_sure_pictures_do_not_tie_where_the_probability_rounds_to_one():
    surer = torch.tensor([[60.0, 0.0], [90.0, 0.0]])
    assert surer.softmax(dim=1).amax(dim=1).unique().numel() == 1
    sure, more_sure = log_max_softmax(surer)
    assert sure < more_sure < 0


@pytest.mark.parametrize("score", [log_max_softmax, negative_entropy, softmax_variance])
def test_the_order_of_names_moves_no_more_than_the_last_bits(score):
    draw = torch.Generator().manual_seed(1)
    logits = 20 * torch.randn(50, 1000, generator=draw, dtype=torch.float64)
    turned = logits[:, torch.randperm(1000, generator=draw)]
    torch.testing.assert_close(score(turned), score(logits), rtol=1e-13, atol=1e-13)


def test_of_two_equal_largest_names_one_alone_is_left_out():
    equal = torch.tensor([[5.0, 1.0, 5.0], [5.0, 5.0, 5.0]], dtype=torch.float64)
    expected = [-math.log(2 + math.exp(-4)), -math.log(3)]
    torch.testing.assert_close(log_max_softmax(equal), torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=0)


def test_one_name_gives_probability_one_always():
    assert log_max_softmax(torch.tensor([[0.1], [0.9]])).tolist() == [0, 0]


def test_no_names_are_refused():
    with pytest.raises(ValueError, match="K of at least 1"):
        log_max_softmax(torch.empty(3, 0))
