"""The threshold of waiting images against numpy's histogram and percentile."""

import numpy as np
import pytest
import torch

from ood_lightning.functional.ants import steepest_edge, threshold_below


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 1.0])
def test_equals_numpy(seed: int, part: float):
    draw = np.random.default_rng(seed)
    shares = np.concatenate([draw.beta(1 + seed, 3, 300), draw.beta(9, 1, 400), [0.0, 1.0]])
    counts, edges = np.histogram(shares, bins=10, range=(0, 1))
    edge = edges[1 + np.abs(np.diff(counts)).argmax()]
    assert steepest_edge(torch.tensor(shares)) == pytest.approx(edge)
    expected = np.percentile(shares[shares < edge], 100 * part)
    assert threshold_below(torch.tensor(shares), part) == pytest.approx(expected, abs=1e-12)


def test_a_fall_is_a_step_too():
    assert steepest_edge(torch.tensor([0.05] * 5 + [0.95] * 4)) == 0.1


def test_where_none_lies_below_it_is_of_all():
    assert threshold_below(torch.tensor([0.96, 0.97, 0.98]), 0.5) == pytest.approx(0.97)
    assert threshold_below(torch.tensor([0.02]), 0.5) == pytest.approx(0.02)
