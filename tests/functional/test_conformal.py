"""p-values and thresholds, held against counting."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ood_lightning.errors import CalibrationError
from ood_lightning.functional.conformal import (
    certain_rank,
    certain_threshold,
    needed,
    needed_on_average,
    p_values,
    rank,
    rate_bound,
    rate_interval,
    threshold,
)

# few different values, so that they tie; and both infinities
SCORES = st.lists(st.sampled_from([-math.inf, -2.0, -1.5, 0.0, 0.1, 0.7, 3.0, math.inf]), min_size=1, max_size=45)
RATES = st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0])


def counted(score: float, calibration: list[float]) -> Fraction:
    """The p-value, exactly."""
    return Fraction(1 + sum(one <= score for one in calibration), len(calibration) + 1)


def tensor(scores: list[float]) -> Tensor:
    return torch.tensor(scores, dtype=torch.float64)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_p_values_are_counts(scores: list[float], calibration: list[float]):
    expected = [float(counted(score, calibration)) for score in scores]
    p = p_values(tensor(scores), tensor(calibration))
    assert p.tolist() == expected
    assert p.dtype == torch.float64
    assert all(0 < value <= 1 for value in expected)


@settings(deadline=None)
@given(SCORES, SCORES, RATES)
def test_a_score_that_meets_the_threshold_has_a_p_value_above_and_no_other_has(
    scores: list[float], calibration: list[float], tpr: float
):
    lowest_accepted = threshold(tensor(calibration), tpr)
    rejected_share = 1 - Fraction(repr(tpr))
    for score in [*scores, *calibration]:
        assert (score >= lowest_accepted) == (counted(score, calibration) > rejected_share)


@settings(deadline=None)
@given(SCORES)
def test_a_higher_score_has_no_lower_p_value(calibration: list[float]):
    ascending = torch.linspace(-4, 4, 33, dtype=torch.float64)
    assert (p_values(ascending, tensor(calibration)).diff() >= 0).all()


@settings(deadline=None)
@given(SCORES)
def test_more_is_accepted_for_a_higher_rate_and_for_more_confidence(calibration: list[float]):
    rates = [0.05, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0]
    thresholds = [threshold(tensor(calibration), tpr) for tpr in rates]
    assert thresholds == sorted(thresholds, reverse=True)

    certain = [certain_threshold(tensor(calibration), tpr) for tpr in rates]
    assert certain == sorted(certain, reverse=True)
    assert all(one <= other for one, other in zip(certain, thresholds, strict=True))

    confidences = [certain_threshold(tensor(calibration), 0.8, confidence) for confidence in (0.5, 0.9, 0.99)]
    assert confidences == sorted(confidences, reverse=True)


@given(st.integers(1, 400), RATES)
def test_a_threshold_promises_the_rate_on_average_and_the_next_one_does_not(n: int, tpr: float):
    k = rank(n, tpr)
    assert Fraction(n + 1 - k, n + 1) >= Fraction(repr(tpr)) > Fraction(n - k, n + 1)
    assert (k == 0) == (n < (needed_on_average(tpr) or n + 1))


@settings(deadline=None)
@given(st.integers(1, 200), RATES, st.sampled_from([0.6, 0.9, 0.95, 0.99]))
@pytest.mark.slow
def test_the_certain_rank_is_the_largest_that_a_binomial_tail_allows(n: int, tpr: float, confidence: float):
    rejected = 1 - Fraction(repr(tpr))
    chances = [math.comb(n, j) * rejected**j * (1 - rejected) ** (n - j) for j in range(n + 1)]
    allowed = [k for k in range(1, n + 1) if sum(chances[k:]) >= Fraction(repr(confidence))]  # P(Binomial >= k)
    assert certain_rank(n, tpr, confidence) == max(allowed, default=0)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("tpr", [0.3, 0.5, 0.9, 0.95, 0.99, 0.995])
def test_the_needed_numbers_are_the_smallest(tpr: float, confidence: float):
    n = needed(tpr, confidence)
    assert n == next(n for n in range(1, 10_000) if 1 - Fraction(repr(tpr)) ** n >= Fraction(repr(confidence)))
    assert certain_rank(n, tpr, confidence) == 1
    assert certain_rank(n - 1, tpr, confidence) == 0


def test_59_are_needed_for_95_percent_with_95_percent_confidence():
    assert needed(0.95) == 59
    assert 0.95**59 < 0.05 < 0.95**58
    assert needed_on_average(0.95) == 19


def test_one_calibration_score():
    one = torch.tensor([2.0])
    assert p_values(torch.tensor([1.0, 2.0, 3.0]), one).tolist() == [0.5, 1.0, 1.0]
    assert threshold(one, 0.95) == -math.inf
    assert threshold(one, 0.5) == 2.0
    assert rate_interval(1, 1) == pytest.approx((0.025, 0.975))  # uniform
    assert rate_bound(1, 1) == pytest.approx(0.05)


def test_a_rate_of_one_accepts_everything_for_any_number():
    calibration = torch.arange(10_000.0)
    assert threshold(calibration, 1.0) == certain_threshold(calibration, 1.0) == -math.inf
    assert needed(1.0) is None
    assert needed_on_average(1.0) is None
    assert rate_interval(100, 0) == (1.0, 1.0)
    assert rate_bound(100, 0) == 1.0


def test_too_few_scores_accept_even_what_scores_minus_infinity():
    calibration = torch.arange(18.0)
    assert threshold(calibration, 0.95) == -math.inf
    assert p_values(torch.tensor([-math.inf]), calibration).item() > 0.05
    assert threshold(torch.arange(19.0), 0.95) == 0.0


def test_equal_scores_are_all_accepted():
    equal = torch.full((100,), 7.0)
    assert p_values(equal[:3], equal).tolist() == [1.0, 1.0, 1.0]
    assert threshold(equal, 0.5) == 7.0


def test_scores_of_single_precision_meet_their_own_threshold():
    draw = torch.Generator().manual_seed(0)
    calibration = torch.randn(99, generator=draw)
    at = threshold(calibration, 0.95)
    assert int((calibration.double() < at).sum()) == 4
    assert int((p_values(calibration, calibration) > 0.05).sum()) == 95


def test_the_order_of_calibration_scores_does_not_count():
    draw = torch.Generator().manual_seed(0)
    calibration, scores = torch.randn(50, generator=draw), torch.randn(20, generator=draw)
    assert torch.equal(p_values(scores, calibration), p_values(scores, calibration.flip(0)))
    assert p_values(scores[:0], calibration).shape == (0,)


def test_the_interval_holds_the_rate_and_narrows():
    low, high = rate_interval(59, 3)
    assert low < rate_bound(59, 3) < 57 / 60 < high
    wide, narrow = rate_interval(100, 5), rate_interval(10_000, 500)
    assert wide[0] < narrow[0] < 0.95 < narrow[1] < wide[1]


def test_bad_arguments_are_refused():
    with pytest.raises(CalibrationError, match="no calibration scores"):
        p_values(torch.zeros(2), torch.zeros(0))
    with pytest.raises(CalibrationError, match="no calibration scores"):
        threshold(torch.zeros(0), 0.95)
    with pytest.raises(CalibrationError, match="1 of 2 scores are NaN"):
        p_values(torch.tensor([1.0, math.nan]), torch.zeros(2))
    with pytest.raises(CalibrationError, match="1 of 1 scores are NaN"):
        threshold(torch.tensor([math.nan]), 0.95)
    with pytest.raises(CalibrationError, match=r"shape \(2, 2\)"):
        p_values(torch.zeros(2, 2), torch.zeros(2))

    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        threshold(torch.zeros(3), 95)
    with pytest.raises(CalibrationError, match=r"0\.95, not 95"):
        certain_threshold(torch.zeros(3), 0.95, 95)
    with pytest.raises(CalibrationError, match="k is 4: expected 0 to 3"):
        rate_interval(3, 4)
