"""The true rates of thresholds are those that are promised: with continuous scores their distribution is Beta."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.functional.conformal import (
    certain_rank,
    certain_threshold,
    p_values,
    rank,
    rate_bound,
    rate_interval,
    threshold,
)

stats = pytest.importorskip("scipy.stats")

SETS = 2_000  # calibration sets


def calibration_sets(n: int, seed: int = 0) -> Tensor:
    """Uniform scores, so that the true rate of a threshold t is 1 - t; shape (SETS, n)."""
    return torch.rand(SETS, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("n", "tpr"), [(19, 0.95), (59, 0.95), (60, 0.9), (200, 0.95), (300, 0.5)])
def test_true_rates_are_beta_distributed(n: int, tpr: float):
    rates = np.array([1 - threshold(scores, tpr) for scores in calibration_sets(n)])
    k = rank(n, tpr)
    assert stats.kstest(rates, stats.beta(n + 1 - k, k).cdf).pvalue > 1e-3
    assert rates.mean() == pytest.approx((n + 1 - k) / (n + 1), abs=4 * rates.std() / SETS**0.5)


@pytest.mark.parametrize(("n", "tpr"), [(59, 0.95), (200, 0.95), (60, 0.9)])
def test_intervals_and_bounds_hold_as_often_as_they_say(n: int, tpr: float):
    rates = np.array([1 - threshold(scores, tpr) for scores in calibration_sets(n, seed=1)])
    low, high = rate_interval(n, rank(n, tpr))
    margin = 4 * (0.95 * 0.05 / SETS) ** 0.5  # four standard errors of a share
    assert np.mean((low <= rates) & (rates <= high)) == pytest.approx(0.95, abs=margin)
    assert np.mean(rates >= rate_bound(n, rank(n, tpr))) == pytest.approx(0.95, abs=margin)


@pytest.mark.parametrize(("n", "tpr"), [(59, 0.95), (150, 0.95), (60, 0.9)])
def test_a_certain_threshold_keeps_the_rate_as_often_as_it_says(n: int, tpr: float):
    rates = np.array([1 - certain_threshold(scores, tpr) for scores in calibration_sets(n, seed=2)])
    k = certain_rank(n, tpr)
    promised = stats.beta(n + 1 - k, k).sf(tpr)
    assert promised >= 0.95
    assert np.mean(rates >= tpr) == pytest.approx(promised, abs=4 * (promised * (1 - promised) / SETS) ** 0.5)


def test_the_quantiles_are_those_of_the_beta_distribution():
    for n, k in [(1, 1), (59, 1), (60, 3), (500, 25), (500, 500)]:
        beta = stats.beta(n + 1 - k, k)
        assert rate_interval(n, k, 0.9) == pytest.approx(beta.interval(0.9), rel=1e-9)
        assert rate_bound(n, k, 0.9) == pytest.approx(beta.ppf(0.1), rel=1e-9)


def test_p_values_of_id_images_are_uniform_on_their_steps():
    n = 9
    draw = torch.Generator().manual_seed(3)
    scores = torch.rand(SETS, n + 1, generator=draw)
    p = torch.cat([p_values(row[:1], row[1:]) for row in scores])
    steps = (p * (n + 1)).round().long() - 1
    assert stats.chisquare(torch.bincount(steps, minlength=n + 1).numpy()).pvalue > 1e-3


def test_ties_accept_more_and_never_less():
    rounded = (calibration_sets(59, seed=4) * 10).floor()  # 0 to 9, each as likely
    at = torch.tensor([threshold(scores, 0.95) for scores in rounded])
    rates = 1 - at / 10  # of the digits that are not below
    margin = 4 * float(rates.std()) / SETS**0.5
    assert float(rates.mean()) >= 0.95 - margin
    assert float((rates >= rate_bound(59, rank(59, 0.95))).double().mean()) >= 0.95
