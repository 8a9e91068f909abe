"""Bootstrap: each resample against the plain metrics on explicitly drawn scores."""

import pytest
import torch
from torch import Tensor

from ood_lightning.errors import EmptySideError, NotFiniteScoresError
from ood_lightning.functional import roc
from ood_lightning.functional.bootstrap import Resampled, interval, paired_p_value, resampled

SEEDS = [11, 22, 33]


@pytest.fixture(params=[0, 1], ids=["many ties", "no ties"])
def scores(request: pytest.FixtureRequest) -> list[Tensor]:
    """An ID set of 83 and OOD sets of 41 and 7 images, three detectors."""
    draw = torch.Generator().manual_seed(0)
    sides = [torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (83, 41, 7)]
    sides[0] += 1
    return [side if request.param else side.round(decimals=1) for side in sides]


def same(one: Resampled, other: Resampled) -> bool:
    return all(a.equal(b) for a, b in zip(one, other, strict=True))


def drawn(scores: list[Tensor], seeds: list[int], resamples: int) -> list[list[Tensor]]:
    """The scores of every resample, repeated as often as they were drawn."""
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [
        [side[torch.randint(len(side), (len(side),), generator=draw)] for side, draw in zip(scores, draws, strict=True)]
        for _ in range(resamples)
    ]


@pytest.mark.parametrize("tpr", [0.95, 0.5, 0.07, 1.0])
def test_every_resample_equals_the_plain_metrics_of_the_drawn_scores(scores: list[Tensor], tpr: float):
    metrics = resampled(scores[0], scores[1:], SEEDS, resamples=25, tpr=tpr, block=10)
    assert metrics.auroc.shape == (25, 2, 3)
    for r, (ids, *oods) in enumerate(drawn(scores, SEEDS, 25)):
        for s in range(2):
            for k in range(3):
                pair = ids[:, k], oods[s][:, k]
                assert float(metrics.auroc[r, s, k]) == pytest.approx(float(roc.auroc(*pair)), abs=1e-15)
                assert metrics.fpr_ood_at_id_tpr[r, s, k] == roc.fpr_ood_at_id_tpr(*pair, tpr)
                assert metrics.fpr_id_at_ood_tpr[r, s, k] == roc.fpr_id_at_ood_tpr(*pair, tpr)


def test_one_image_a_side_and_all_scores_equal():
    metrics = resampled(torch.zeros(1, 1), [torch.zeros(1, 1), torch.ones(2, 1)], SEEDS, resamples=3)
    assert metrics.auroc[:, :, 0].tolist() == [[0.5, 0.0]] * 3
    assert metrics.fpr_ood_at_id_tpr[:, :, 0].tolist() == [[1.0, 1.0]] * 3
    assert metrics.fpr_id_at_ood_tpr[:, :, 0].tolist() == [[1.0, 1.0]] * 3


@pytest.mark.parametrize("block", [1, 7, 30, 64])
def test_blocks_change_no_bit_and_every_resample_is_reported_once(scores: list[Tensor], block: int):
    reported: list[int] = []
    metrics = resampled(scores[0], scores[1:], SEEDS, resamples=30, block=block, on_progress=reported.append)
    assert same(metrics, resampled(scores[0], scores[1:], SEEDS, resamples=30, block=11))
    assert sum(reported) == 30
    assert max(reported) <= block


def test_a_set_is_drawn_alike_whatever_other_sets_are_measured(scores: list[Tensor]):
    every = resampled(scores[0], scores[1:], SEEDS, resamples=20)

    alone = resampled(scores[0][:, 1:2], [scores[2][:, 1:2]], [SEEDS[0], SEEDS[2]], resamples=20)
    assert same(alone, Resampled(*(metric[:, 1:, 1:2] for metric in every)))

    more = resampled(scores[0], scores[1:], SEEDS, resamples=40)
    assert same(every, Resampled(*(metric[:20] for metric in more)))
    other = resampled(scores[0], scores[1:], [1, 2, 3], resamples=20)
    assert not same(every, other)


def test_threads_change_no_bit(scores: list[Tensor]):
    one = resampled(scores[0], scores[1:], SEEDS, resamples=20)
    torch.set_num_threads(2)
    assert same(one, resampled(scores[0], scores[1:], SEEDS, resamples=20))


def test_the_interval_holds_the_metric_and_narrows_with_more_images(scores: list[Tensor]):
    few = resampled(scores[0], scores[1:], SEEDS, resamples=400).auroc[:, 0, 0]
    low, high = interval(few)
    assert low < float(roc.auroc(scores[0][:, 0], scores[1][:, 0])) < high
    repeated = [side.repeat(9, 1) for side in scores]
    more = resampled(repeated[0], repeated[1:], SEEDS, resamples=400).auroc[:, 0, 0]
    assert interval(more)[1] - interval(more)[0] < (high - low) / 2


def test_the_interval_covers_as_often_as_it_says():
    # ID N(1, 1), OOD N(0, 1): the AUROC is Phi(1 / sqrt 2)
    truth = float(torch.special.ndtr(torch.tensor(0.5, dtype=torch.float64).sqrt()))
    draw = torch.Generator().manual_seed(1)
    ids, oods = (torch.randn(120, 100, generator=draw, dtype=torch.float64) + shift for shift in (1, 0))
    metrics = resampled(ids, [oods], [1, 2], resamples=200).auroc[:, 0]
    covered = sum(low <= truth <= high for low, high in (interval(metrics[:, k]) for k in range(100)))
    assert 88 <= covered <= 100


def test_a_monotone_map_of_the_scores_changes_nothing(scores: list[Tensor]):
    plain = resampled(scores[0], scores[1:], SEEDS, resamples=20)
    assert same(plain, resampled(scores[0].exp(), [side.exp() for side in scores[1:]], SEEDS, resamples=20))


def test_a_detector_does_not_differ_from_itself_and_differs_from_one_that_errs(scores: list[Tensor]):
    both = [torch.stack([side[:, 0], side[:, 0], -side[:, 0]], dim=1) for side in scores]
    metrics = resampled(both[0], both[1:], SEEDS, resamples=200).auroc[:, 0]
    assert paired_p_value(metrics[:, 0], metrics[:, 1]) == 1.0
    assert paired_p_value(metrics[:, 0], metrics[:, 2]) < 0.05
    assert paired_p_value(metrics[:, 0], metrics[:, 2]) == paired_p_value(metrics[:, 2], metrics[:, 0])


def test_bad_arguments_are_refused(scores: list[Tensor]):
    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        resampled(scores[0], scores[1:], SEEDS, tpr=95)
    with pytest.raises(ValueError, match="resamples is 0"):
        resampled(scores[0], scores[1:], SEEDS, resamples=0)
    with pytest.raises(ValueError, match="2 seeds for 3 sets"):
        resampled(scores[0], scores[1:], SEEDS[:2])
    with pytest.raises(ValueError, match="3 detectors and 2"):
        resampled(scores[0], [scores[1][:, :2]], SEEDS[:2])
    with pytest.raises(EmptySideError, match="83 ID and 0 OOD"):
        resampled(scores[0], [scores[1][:0]], SEEDS[:2])
    with pytest.raises(NotFiniteScoresError, match="7 of 7 OOD"):
        resampled(scores[0], [scores[2] * torch.inf], SEEDS[:2])
    with pytest.raises(ValueError, match="same resamples"):
        paired_p_value(torch.rand(3), torch.rand(4))
