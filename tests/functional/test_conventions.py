"""FPR95 under published conventions: loops over thresholds, and the numbers measured on the published routines."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve
from torch import Tensor

from ood_lightning.functional.conventions import (
    CONVENTIONS,
    fpr_ood_at_rank,
    fpr_ood_interpolated,
    fpr_ood_stable,
    fpr_ood_strict,
)
from ood_lightning.functional.roc import auroc

CASES = [(seed, *sizes, ties) for seed in range(3) for sizes in ((1, 1), (7, 3), (40, 100)) for ties in (False, True)]


@pytest.fixture(params=CASES, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    seed, n_id, n_ood, ties = request.param
    draw = torch.Generator().manual_seed(seed)
    sides = [torch.randn(n, generator=draw, dtype=torch.float64) for n in (n_id, n_ood)]
    return (sides[0].round() + 1, sides[1].round()) if ties else (sides[0] + 1, sides[1])


def test_interpolation_equals_numpy_on_scikit_learns_curve(pair: tuple[Tensor, Tensor]):
    truth = np.r_[np.ones(len(pair[0])), np.zeros(len(pair[1]))]
    fpr, tpr, _ = roc_curve(truth, torch.cat(pair).numpy())
    for level in (0.3, 0.95, 1.0):
        assert float(fpr_ood_interpolated(*pair, level)) == pytest.approx(np.interp(level, tpr, fpr), abs=1e-12)


@pytest.mark.parametrize("percent", [7, 50, 95])
def test_strict_equals_a_search_over_all_thresholds(pair: tuple[Tensor, Tensor], percent: int):
    ids, oods = (side.tolist() for side in pair)
    rates = [
        sum(score >= threshold for score in oods) / len(oods)
        for threshold in ids
        if 100 * sum(score >= threshold for score in ids) > percent * len(ids)
    ]
    assert float(fpr_ood_strict(*pair, percent / 100)) == min(rates)


@pytest.mark.parametrize("percent", [7, 50, 95, 100])
def test_rank_equals_plain_python(pair: tuple[Tensor, Tensor], percent: int):
    ids, oods = sorted(pair[0].tolist()), pair[1].tolist()
    threshold = ids[min(round(Fraction(100 - percent, 100) * len(ids)), len(ids) - 1)]
    assert float(fpr_ood_at_rank(*pair, percent / 100)) == sum(score > threshold for score in oods) / len(oods)


def test_stable_equals_a_search_over_all_thresholds(pair: tuple[Tensor, Tensor]):
    ids, oods = (side.tolist() for side in pair)
    points = []  # distance of the recall from 0.95, then the FPR: of one recall the largest
    for threshold in sorted({*ids, *oods}, reverse=True):
        recall = sum(score >= threshold for score in ids) / len(ids)
        points.append((abs(recall - 0.95), -sum(score >= threshold for score in oods) / len(oods)))
        if recall == 1:
            break
    assert float(fpr_ood_stable(*pair)) == -min(points)[1]


DRAW = np.random.default_rng(0)  # one stream for both rows, in the order listed
NARROW, WIDE = (
    (torch.from_numpy(DRAW.normal(1.5, 1, 50_000)), torch.from_numpy(DRAW.normal(0, spread, 10_000)))
    for spread in (1, 2)
)
FIVE = (torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.tensor([0.55, 0.4, 0.3]))
EQUAL = (torch.zeros(50), torch.zeros(20))
STEPS = (torch.tensor([0.0] * 10 + [1.0] * 90), torch.tensor([0.0] * 50 + [0.5] * 50))
TWENTY = (torch.arange(20) / 20 + 0.001, torch.tensor([0.0, 0.05, 0.5, 0.9]))
ORDER = ("stable", "ours", "strict", "interpolated", "rank", "openood")


@pytest.mark.parametrize(
    ("scores", "area", "expected"),
    [
        (NARROW, 85.70, (55.68, 55.66, 55.68, 55.68, 55.66, 55.19)),
        (WIDE, 74.79, (53.83, 53.83, 53.83, 53.83, 53.83, 96.74)),
        (EQUAL, 50, (100, 100, 100, 95, 0, 100)),
        (STEPS, 92.50, (50, 100, 100, 75, 50, 10)),
        (TWENTY, 63.75, (75, 50, 75, 75, 50, 90)),
        (FIVE, 93.33, (33.33, 33.33, 33.33, 33.33, 33.33, 20)),
    ],
    ids=["narrow", "wide", "equal", "steps", "twenty", "five"],
)
def test_the_conventions_differ_as_measured_on_the_published_routines(scores, area: float, expected: tuple[float, ...]):
    assert set(ORDER) == set(CONVENTIONS)
    assert 100 * float(auroc(*scores)) == pytest.approx(area, abs=0.005)
    percent = [100 * float(CONVENTIONS[name][0](*scores, 0.95)) for name in ORDER]
    assert percent == pytest.approx(expected, abs=0.005001)
