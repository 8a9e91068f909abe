"""Numbers behind the panels of a dashboard, against what one can count by hand."""

import torch

from ood_lightning.callbacks.panels import false_alarms, histograms, misses


def test_shares_of_equal_bins_over_all_sets():
    middles, (first, second) = histograms([torch.tensor([0.0, 0.1, 1.0]), torch.tensor([0.6])], bins=2)
    assert middles.tolist() == [0.25, 0.75]
    torch.testing.assert_close(first, torch.tensor([2 / 3, 1 / 3], dtype=torch.float64))
    assert second.tolist() == [0.0, 1.0]


def test_equal_scores_are_one_bin():
    _, (shares,) = histograms([torch.full((5,), 2.0)])
    assert sorted(shares.tolist())[-2:] == [0.0, 1.0]


def test_what_is_wrong_begins_with_the_worst():
    sets = {3: torch.tensor([0.5, 0.1, 0.9]), 4: torch.tensor([0.2])}
    assert [wrong[:2] for wrong in false_alarms(sets, 0.5)] == [(3, 1), (4, 0)]  # 0.5 itself is accepted
    assert [wrong[:2] for wrong in misses(sets, 0.5)] == [(3, 2), (3, 0)]
