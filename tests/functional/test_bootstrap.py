"""Bootstrap: each resample against the plain metrics on explicitly drawn scores."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.bootstrap import interval, paired_p_value, resampled
from ood_lightning.functional.roc import auroc, fpr_ood_at_id_tpr


@pytest.fixture
def scores() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    # rounded, so that there are ties
    return (1 + torch.randn(83, generator=draw)).round(decimals=1), torch.randn(41, generator=draw).round(decimals=1)


def test_every_resample_equals_the_plain_metrics_of_the_drawn_scores(scores):
    found = resampled(*scores, resamples=25, seed=7)
    draw = torch.Generator().manual_seed(7)
    for r in range(25):
        ids = scores[0][torch.randint(83, (83,), generator=draw)]
        oods = scores[1][torch.randint(41, (41,), generator=draw)]
        assert float(found.auroc[r]) == pytest.approx(float(auroc(ids, oods)), abs=1e-12)
        assert float(found.fpr_ood_at_id_tpr[r]) == pytest.approx(float(fpr_ood_at_id_tpr(ids, oods)), abs=1e-12)


def test_the_interval_holds_the_metric_and_narrows_with_more_pictures(scores):
    low, high = interval(resampled(*scores, resamples=400).auroc)
    assert low < float(auroc(*scores)) < high
    more = resampled(scores[0].repeat(9), scores[1].repeat(9), resamples=400).auroc
    assert interval(more)[1] - interval(more)[0] < (high - low) / 2


def test_a_monotone_map_of_the_scores_changes_nothing(scores):
    plain, mapped = resampled(*scores, resamples=20), resampled(scores[0].exp(), scores[1].exp(), resamples=20)
    assert plain.auroc.equal(mapped.auroc)
    assert plain.fpr_ood_at_id_tpr.equal(mapped.fpr_ood_at_id_tpr)


def test_a_detector_does_not_differ_from_itself_and_differs_from_a_coin(scores):
    plain = resampled(*scores, resamples=200).auroc
    coin = resampled(
        *(torch.rand(len(s), generator=torch.Generator().manual_seed(5)) for s in scores), resamples=200
    ).auroc
    assert paired_p_value(plain, plain) == 1.0
    assert paired_p_value(plain, coin) < 0.05


def test_bad_arguments_are_refused(scores):
    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        resampled(*scores, tpr=95)
    with pytest.raises(ValueError, match="resamples is 0"):
        resampled(*scores, resamples=0)
    with pytest.raises(ValueError, match="same resamples"):
        paired_p_value(torch.rand(3), torch.rand(4))
