"""The curve itself: its area, and how many points it has."""

import torch

from ood_lightning.functional.roc import auroc, roc_curve


def test_a_curve_of_all_thresholds_has_the_area_of_the_auroc():
    draw = torch.Generator().manual_seed(0)
    ids, oods = (torch.randint(shift, shift + 20, (40,), generator=draw).double() for shift in (5, 0))
    fpr, tpr = roc_curve(ids, oods)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    torch.testing.assert_close(torch.trapezoid(tpr, fpr), auroc(ids, oods))


def test_a_curve_of_many_scores_has_few_points_and_both_ends():
    draw = torch.Generator().manual_seed(0)
    fpr, tpr = roc_curve(*(torch.randn(1000, generator=draw) + shift for shift in (1, 0)), points=50)
    assert len(fpr) == len(tpr) == 51
    assert (fpr[-1], tpr[-1]) == (1, 1)
