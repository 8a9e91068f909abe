"""Calls by Benjamini and Hochberg: few of them are wrong, also where all p-values come from one calibration set."""

import numpy as np
import torch

from ood_lightning.functional.conformal import p_values
from ood_lightning.watching.false_discoveries import adjusted, fewest


def test_adjusted_p_values_are_those_of_a_loop():
    p = np.random.default_rng(0).random(40) ** 3
    order = np.argsort(p)
    expected = np.empty(40)
    smallest = 1.0
    for rank in range(40, 0, -1):
        smallest = min(smallest, p[order[rank - 1]] * 40 / rank)
        expected[order[rank - 1]] = smallest
    np.testing.assert_allclose(adjusted(p), expected)


def test_of_the_calls_a_share_below_the_rate_is_wrong():
    rng = np.random.default_rng(1)
    shares, n_called = [], []
    for _ in range(300):
        calibration = torch.from_numpy(rng.normal(size=500))
        batch = torch.from_numpy(np.concatenate([rng.normal(size=80), rng.normal(-4, 1, size=20)]))
        called = adjusted(p_values(batch, calibration).numpy()) <= 0.1
        shares.append(called[:80].sum() / max(1, called.sum()))
        n_called.append(called[80:].mean())
    assert np.mean(shares) <= 0.1
    assert np.mean(n_called) > 0.8


def test_fewer_are_never_called_however_low_they_score():
    for n, batch, rate in ((19, 40, 0.1), (99, 1000, 0.1), (999, 100, 0.1), (58, 30, 0.2)):
        k = fewest(n, batch, rate)

        def calls(lowest: int, n: int = n, batch: int = batch, rate: float = rate) -> int:
            p = np.r_[np.full(lowest, 1 / (n + 1)), np.ones(batch - lowest)]
            return int((adjusted(p) <= rate).sum())

        assert calls(k) == k
        assert k == 1 or calls(k - 1) == 0

        third = np.r_[np.full(min(3 * k, batch), 3 / (n + 1)), np.ones(max(batch - 3 * k, 0))]
        assert (adjusted(third) <= rate).sum() in (0, min(3 * k, batch))  # none of them lower than all of calibration
