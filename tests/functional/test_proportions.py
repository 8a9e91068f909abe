"""Newcombe's interval, against the examples of his paper and by counting."""

import numpy as np
import pytest
from scipy.stats import binomtest

from ood_lightning.functional.proportions import difference, wilson


@pytest.mark.parametrize(
    ("after", "n_after", "before", "n_before", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0),
        (0, 10, 0, 10, -0.2775, 0.2775),
    ],
)
def test_intervals_of_method_10(after: int, n_after: int, before: int, n_before: int, low: float, high: float):
    interval = difference(before, n_before, after, n_after)
    assert interval.value == pytest.approx(after / n_after - before / n_before)
    assert interval[1:] == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 100), (100, 100), (777, 1000)])
def test_the_interval_of_one_share_is_that_of_scipy(k: int, n: int):
    for confidence in (0.5, 0.95, 0.9999):
        expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
        assert wilson(k, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("p", "q"), [(0.02, 0.02), (0.1, 0.05), (0.5, 0.3)])
def test_the_interval_holds_about_as_often_as_it_says(p: float, q: float):
    rng = np.random.default_rng(0)
    pairs = zip(rng.binomial(80, p, 300).tolist(), rng.binomial(200, q, 300).tolist(), strict=True)
    interval = [difference(before, 200, after, 80) for after, before in pairs]
    assert np.mean([one.low <= p - q <= one.high for one in interval]) > 0.92
