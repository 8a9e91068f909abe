"""Test martingales: exact p-values, false alarms below the stated rate, and changes that are seen."""

import doctest
from itertools import permutations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from ood_lightning.watching import false_discoveries, martingale
from ood_lightning.watching.martingale import (
    JUMPS,
    Floats,
    Wealth,
    bet_in_turn,
    bets,
    draws,
    gaps,
    p_values_in_turn,
)


def p_values_by_loop(of_gaps: list[int], n_gaps: int, places: list[float]) -> list[float]:
    counts, values = [0] * n_gaps, []
    for gap, spot in zip(of_gaps, places, strict=True):
        below = sum(1 + counts[i] for i in range(gap))
        values.append((below + spot * (1 + counts[gap])) / (n_gaps + sum(counts)))
        counts[gap] += 1
    return values


def of_stream(calibration: Floats, scores: Floats, seed: int) -> Floats:
    """p-values of a stream that has its own draws."""
    ascending = np.sort(calibration)
    labels = np.random.default_rng(seed).random(len(calibration))
    of_images = draws(seed, 0, len(scores))
    of_gaps = gaps(scores, ascending, of_images[:, 0], labels)
    return p_values_in_turn(of_gaps, np.zeros(len(calibration) + 1, dtype=np.int64), of_images[:, 1])[0]


def streams(n: int, length: int, n_streams: int, seed: int, digits: int | None = None) -> Floats:
    """p-values of exchangeable streams, each with a calibration set of its own, shape (n_streams, length)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_streams, n + length))
    scores = scores if digits is None else scores.round(digits)  # with ties
    return np.stack([of_stream(row[:n], row[n:], 1000 * seed + i) for i, row in enumerate(scores)])


def highest(p_values: Floats) -> Floats:
    """Of each stream's martingale."""
    logs, _ = bet_in_turn(Wealth.at_first(len(p_values)), p_values)
    return np.exp(logs.max(axis=1))


def test_p_values_are_those_of_a_loop_whatever_the_blocks():
    rng = np.random.default_rng(0)
    of_gaps, places = rng.integers(0, 8, 700), rng.random(700)
    values, counts = p_values_in_turn(of_gaps, np.zeros(8, dtype=np.int64), places)
    np.testing.assert_allclose(values, p_values_by_loop(of_gaps.tolist(), 8, places.tolist()), rtol=1e-12)
    assert counts.tolist() == np.bincount(of_gaps, minlength=8).tolist()

    first, between = p_values_in_turn(of_gaps[:123], np.zeros(8, dtype=np.int64), places[:123])
    rest, last = p_values_in_turn(of_gaps[123:], between, places[123:])
    np.testing.assert_allclose(np.concatenate([first, rest]), values, rtol=1e-12)
    assert last.tolist() == counts.tolist()


def test_the_chance_of_a_gap_is_that_of_all_orders_of_the_scores():
    """Two calibration scores and two of a stream: their 24 orders by the gaps that the stream falls into."""
    counted: dict[tuple[int, int], int] = {}
    for a, b, first, second in permutations(range(4)):
        fell = tuple(sum(one < score for one in (a, b)) for score in (first, second))
        counted[fell] = counted.get(fell, 0) + 1

    for (first, second), n in counted.items():
        chance = (1 / 3) * ((1 + (first == second)) / 4)  # Polya's urn
        assert n / 24 == pytest.approx(chance)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_p_values_of_an_exchangeable_stream_are_uniform_and_independent_also_with_ties(digits: int | None):
    p_values = streams(n=20, length=60, n_streams=300, seed=1, digits=digits)
    for image in (0, 1, 30, 59):
        assert kstest(p_values[:, image], "uniform").pvalue > 1e-3
    assert kstest(p_values.ravel(), "uniform").pvalue > 1e-3
    # what the usual p-values fail: the mean of a stream is then as uncertain as its calibration set
    assert p_values.mean(axis=1).std() == pytest.approx((1 / 12 / 60) ** 0.5, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "digits"), [(20, None), (200, None), (50, 1)])
def test_false_alarms_on_500_exchangeable_streams_stay_below_the_stated_rate(n: int, digits: int | None):
    reached = highest(streams(n, length=300, n_streams=500, seed=2, digits=digits))
    for rate in (0.01, 0.05, 0.2):
        assert (reached >= 1 / rate).mean() <= rate


def test_the_usual_p_values_of_one_calibration_set_would_alarm_far_too_often():
    rng = np.random.default_rng(3)
    calibration, stream = np.sort(rng.normal(size=(200, 20)), axis=1), rng.normal(size=(200, 300))
    smaller = np.stack([np.searchsorted(*pair) for pair in zip(calibration, stream, strict=True)])
    reached = highest((smaller + rng.random(smaller.shape)) / 21)
    assert (reached >= 20).mean() > 0.3  # stated: 0.05


def test_a_bet_is_fair():
    for bet in range(5):
        assert quad(lambda p, bet=bet: float(bets(np.array(p))[bet]), 0, 1)[0] == pytest.approx(1, abs=1e-6)


def test_the_wealth_is_that_of_a_loop():
    p_values = np.random.default_rng(4).random(50)
    means = np.zeros(50)
    for jump in JUMPS:
        shares = [0.2] * 5
        for t, p in enumerate(p_values):
            total = sum(shares)
            shares = [(1 - jump) * share + jump * total / 5 for share in shares]
            shares = [share * float(bet) for share, bet in zip(shares, bets(np.array(p)), strict=True)]
            means[t] += sum(shares) / len(JUMPS)

    logs, wealth = bet_in_turn(Wealth.at_first(), p_values)
    np.testing.assert_allclose(np.exp(logs), means, rtol=1e-10)
    first, between = bet_in_turn(Wealth.at_first(), p_values[:17])
    rest, last = bet_in_turn(between, p_values[17:])
    np.testing.assert_array_equal(np.concatenate([first, rest]), logs)
    np.testing.assert_array_equal(last.shares, wealth.shares)


def test_the_wealth_is_that_of_crepes():
    martingales = pytest.importorskip("crepes.martingales", reason="crepes is not installed: .[dev]")

    class OurBets(martingales.BettingFunction):
        def apply(self, p_values: Floats) -> Floats:
            return bets(p_values)

    p_values = np.random.default_rng(5).beta(0.7, 1, size=200)
    values = [martingales.SimpleJumper(J=jump, bf=OurBets()).apply(p_values) for jump in JUMPS]
    logs, _ = bet_in_turn(Wealth.at_first(), p_values)
    np.testing.assert_allclose(np.exp(logs), np.mean(values, axis=0), rtol=1e-10)


def test_a_change_after_a_long_quiet_time_is_seen():
    rng = np.random.default_rng(6)
    scores = np.concatenate([rng.normal(size=5000), rng.normal(-1.5, 1, size=100)])
    logs, _ = bet_in_turn(Wealth.at_first(), of_stream(rng.normal(size=300), scores, 7))
    assert logs[:5000].max() < np.log(100)
    assert logs[5000:].max() > np.log(100)


def test_no_p_value_and_no_wealth_is_infinite():
    p_values, _ = p_values_in_turn(np.array([0, 1]), np.zeros(2, dtype=np.int64), np.array([0.0, 1.0]))
    assert 0 < p_values[0] < p_values[1] < 1
    logs, _ = bet_in_turn(Wealth.at_first(), p_values)
    assert np.isfinite(logs).all()


def test_the_examples_of_the_formulas_say_what_they_give():
    for module in (martingale, false_discoveries):
        assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)
