"""CLIPN's two scores against loops."""

import math
from collections.abc import Callable
from decimal import Decimal, getcontext

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.confidence import agreeing_to_differ, competing_to_win


def _softmax(row: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(w) for w in row) for v in row]


def test_both_scores_of_clipn_are_the_log_odds_of_what_loops_give():
    draw = torch.Generator().manual_seed(1)
    yes, no = 4 * torch.randn(6, 3, generator=draw), 4 * torch.randn(6, 3, generator=draw)
    for row, (y, n) in enumerate(zip(yes.double().tolist(), no.double().tolist(), strict=True)):
        q = [math.exp(a) / (math.exp(a) + math.exp(b)) for a, b in zip(y, n, strict=True)]
        ctw, atd = (float(score(yes, no)[row].sigmoid()) for score in (competing_to_win, agreeing_to_differ))
        assert math.isclose(ctw, q[y.index(max(y))], rel_tol=1e-12)
        assert math.isclose(atd, sum(p * share for p, share in zip(_softmax(y), q, strict=True)), rel_tol=1e-12)
        assert 0 < min(q) <= atd <= max(q) < 1


@pytest.mark.parametrize("score", [competing_to_win, agreeing_to_differ])
def test_equal_yes_and_no_give_one_half_and_shapes_are_checked(score: Callable[[Tensor, Tensor], Tensor]):
    logits = torch.randn(4, 3)
    torch.testing.assert_close(score(logits, logits), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="both be"):
        score(logits, logits[:2])
    with pytest.raises(ValueError, match="K of at least 1"):
        score(logits[:, :0], logits[:, :0])


@pytest.mark.parametrize("score", [competing_to_win, agreeing_to_differ])
def test_a_weaker_no_is_more_in_distribution_and_does_not_tie_at_one(score: Callable[[Tensor, Tensor], Tensor]):
    yes = torch.tensor([[3.0, 1.0]]).expand(6, 2)
    no = torch.tensor([20.0, 0.0, -40.0, -60.0, -80.0, -800.0])[:, None].expand(6, 2)
    log_odds = score(yes, no)
    assert (log_odds.diff() > 0).all()
    assert len(set(log_odds.sigmoid().tolist())) < 6  # the probabilities tie
    assert log_odds.isfinite().all()


def test_the_mean_over_names_is_right_where_its_rest_rounds_away():
    """Decimals of 60 places; float64 has the mean at exactly 1."""
    getcontext().prec = 60
    yes, no = [31.0, 30.0, 2.5], [-17.0, -30.0, -12.0]
    weights = [Decimal(y).exp() for y in yes]
    rest = sum(w / sum(weights) / (1 + Decimal(y - n).exp()) for w, y, n in zip(weights, yes, no, strict=True))
    assert 1 - float(rest) == 1

    log_odds = float(agreeing_to_differ(torch.tensor([yes]), torch.tensor([no])))
    assert math.isclose(log_odds, float(((1 - rest) / rest).ln()), rel_tol=1e-14)
