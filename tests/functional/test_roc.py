"""AUROC, AUPR and both FPR95s against scikit-learn, loops over pairs and searches over thresholds."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from ood_lightning.errors import EmptySideError, NotFiniteScoresError, UserError
from ood_lightning.functional import roc
from ood_lightning.functional.conventions import CONVENTIONS

METRICS: list[Callable[[Tensor, Tensor], Tensor]] = [
    roc.auroc,
    roc.aupr_in,
    roc.aupr_out,
    *(metric for metric, _ in CONVENTIONS.values()),
]


def drawn(seed: int, n_id: int, n_ood: int, ties: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    id_scores = torch.randn(n_id, generator=generator, dtype=torch.float64) + 1
    ood_scores = torch.randn(n_ood, generator=generator, dtype=torch.float64)
    return (id_scores.round(), ood_scores.round()) if ties else (id_scores, ood_scores)


CASES = [(seed, *sizes, ties) for seed in range(3) for sizes in ((1, 1), (7, 3), (40, 100)) for ties in (False, True)]


@pytest.fixture(params=CASES, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    return drawn(*request.param)


def joined(id_scores: Tensor, ood_scores: Tensor) -> tuple[np.ndarray, np.ndarray]:
    truth = np.r_[np.ones(len(id_scores)), np.zeros(len(ood_scores))]
    return truth, torch.cat([id_scores, ood_scores]).numpy()


def slow_fpr(positives: Tensor, others: Tensor, percent: int) -> float:
    """Try every threshold, in integers."""
    rates = []
    for threshold in positives.tolist():
        kept = sum(score >= threshold for score in positives.tolist())
        if 100 * kept >= percent * len(positives):
            rates.append(sum(score >= threshold for score in others.tolist()) / len(others))
    return min(rates)


def test_auroc_counts_pairs_and_half_of_ties(pair: tuple[Tensor, Tensor]):
    won = [(a > b) + (a == b) / 2 for a in pair[0].tolist() for b in pair[1].tolist()]
    assert float(roc.auroc(*pair)) == pytest.approx(math.fsum(won) / len(won), abs=1e-15)
    assert float(roc.auroc(*pair)) == pytest.approx(roc_auc_score(*joined(*pair)), abs=1e-12)


def test_aupr_is_scikit_learns_average_precision(pair: tuple[Tensor, Tensor]):
    truth, scores = joined(*pair)
    assert float(roc.aupr_in(*pair)) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert float(roc.aupr_out(*pair)) == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)


@pytest.mark.parametrize("percent", [7, 50, 90, 95, 100])
def test_both_fprs_equal_a_search_over_all_thresholds(pair: tuple[Tensor, Tensor], percent: int):
    id_scores, ood_scores = pair
    got = roc.fpr_ood_at_id_tpr(id_scores, ood_scores, percent / 100)
    assert float(got) == slow_fpr(id_scores, ood_scores, percent)
    got = roc.fpr_id_at_ood_tpr(id_scores, ood_scores, percent / 100)
    assert float(got) == slow_fpr(-ood_scores, -id_scores, percent)


@pytest.mark.parametrize("n", [20, 40, 60, 100, 700, 1000])
@pytest.mark.parametrize("percent", range(1, 101))
def test_the_number_of_kept_images_is_an_exact_ceiling(n: int, percent: int):
    ranks = torch.arange(n, dtype=torch.float64)  # as ID and as OOD: the share accepted is the share kept
    expected = -(-percent * n // 100) / n
    assert float(roc.fpr_ood_at_id_tpr(ranks, ranks, percent / 100)) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_values_are_fractions_in_float64_and_only_the_order_of_scores_matters(metric, pair: tuple[Tensor, Tensor]):
    value = metric(*pair)
    assert value.dtype == torch.float64
    assert value.shape == ()
    assert 0 <= value <= 1 + 1e-12
    assert metric(*(side.mul(3).exp() for side in pair)) == value
    assert metric(*(side.flip(0) for side in pair)) == value


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("metric", METRICS)
def test_any_float_type_is_taken_and_no_sigmoid_ties_large_scores(metric, dtype: torch.dtype):
    id_scores, ood_scores = torch.tensor([31.0, 33.0, 40.0]), torch.tensor([20.0, 32.0])
    assert metric(id_scores.to(dtype), ood_scores.to(dtype)) == metric(id_scores.double(), ood_scores.double())
    assert metric(id_scores.to(dtype), ood_scores.double()) == metric(id_scores.double(), ood_scores.double())
    assert roc.auroc(id_scores.to(dtype), ood_scores.to(dtype)) == 5 / 6


def test_perfect_separation_is_perfect():
    id_scores, ood_scores = torch.tensor([22.0, 23.0]), torch.tensor([20.0, 21.0])
    assert [float(metric(id_scores, ood_scores)) for metric in METRICS] == pytest.approx([1] * 3 + [0] * 6)


def test_swapping_roles_and_signs_swaps_the_two_conventions(pair: tuple[Tensor, Tensor]):
    id_scores, ood_scores = pair
    assert roc.fpr_ood_at_id_tpr(*pair) == roc.fpr_id_at_ood_tpr(-ood_scores, -id_scores)
    assert roc.aupr_in(*pair) == roc.aupr_out(-ood_scores, -id_scores)
    assert roc.auroc(*pair) == roc.auroc(-ood_scores, -id_scores)


def test_scores_of_no_meaning_accept_95_percent():
    draw = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 20_000, generator=draw)
    assert float(roc.fpr_ood_at_id_tpr(*noise)) == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize("metric", METRICS)
def test_empty_sides_and_scores_that_are_not_finite_are_refused(metric):
    scores = torch.tensor([0.1, 0.2])

    with pytest.raises(EmptySideError, match="0 ID and 2 OOD scores"):
        metric(scores[:0], scores)
    with pytest.raises(ValueError, match="2 ID and 0 OOD scores"):
        metric(scores, scores[:0])
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(NotFiniteScoresError, match="1 of 2 OOD scores are NaN or infinite"):
            metric(scores, torch.tensor([0.1, value]))
    with pytest.raises(UserError, match="2 of 3 ID scores"):
        metric(torch.tensor([math.nan, 0.0, math.inf]), scores)
    with pytest.raises(ValueError, match="expected one dim"):
        metric(scores[None], scores)


@pytest.mark.parametrize("metric", METRICS[3:])
@pytest.mark.parametrize("tpr", [0, -0.1, 95, 1.01, math.nan])
def test_a_rate_is_a_fraction(metric, tpr: float):
    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        metric(torch.ones(2), torch.zeros(2), tpr)
