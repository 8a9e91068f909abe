"""Intervals of rows and of their means, and comparisons: from the rows' own scores, against literal draws."""

from dataclasses import replace
from hashlib import sha256
from statistics import fmean

import pytest
import torch
from torch import Tensor

from ood_lightning.functional import roc
from ood_lightning.functional.bootstrap import interval, paired_p_value
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import MEAN, Estimate, Result, evaluate, means, single

GIVEN = {"free": ("id_images",), "named": ("id_names",), "noise": (), "labels": ("id_images", "id_labels")}
OOD = {"a": "near", "b": "near", "c": "far"}
NAMES = list(GIVEN)
SIZES = {"id": 60, "shifted": 30, "a": 20, "b": 40, "c": 25}


@pytest.fixture(scope="module")
def scores() -> dict[str, Tensor]:
    """`free` and `labels` are equal and good, `named` is less so, `noise` knows nothing."""
    draw = torch.Generator().manual_seed(3)
    found = {}
    for name, n in SIZES.items():
        base = torch.randn(n, dtype=torch.float64, generator=draw) + 2 * (name not in OOD)
        blurred = base + torch.randn(n, dtype=torch.float64, generator=draw)
        noise = torch.randn(n, dtype=torch.float64, generator=draw)
        found[name] = torch.stack([base, blurred, noise, base], dim=1).round(decimals=1)
    return found


@pytest.fixture(scope="module")
def rows(scores: dict[str, Tensor]) -> list[Result]:
    return [
        evaluate(name, near, far, scores[near][:, k], scores[far][:, k], supervision=GIVEN[name], group=group)
        for k, name in enumerate(NAMES)
        for near in ("id", "shifted")
        for far, group in OOD.items()
    ]


def literal(scores: dict[str, Tensor], near: str, column: int, far: list[str], resamples: int, seed: int) -> Tensor:
    """AUROC of each resample as a mean over sets, with every image drawn by hand."""
    draws = {
        name: torch.Generator().manual_seed(int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6]))
        for name in (near, *far)
    }
    values = []
    for _ in range(resamples):
        drawn = {
            name: scores[name][torch.randint(SIZES[name], (SIZES[name],), generator=draw), column]
            for name, draw in draws.items()
        }
        values.append(fmean(float(roc.auroc(drawn[near], drawn[name])) for name in far))
    return torch.tensor(values, dtype=torch.float64)


def test_rows_and_means_hold_the_intervals_of_literal_draws(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=30, seed=5)
    by = {(r.detector, r.id_set, r.ood_set, r.group): r for r in found}
    for near in ("id", "shifted"):
        for key, far in ((("b", "near"), ["b"]), ((MEAN, "near"), ["a", "b"]), ((MEAN, ""), ["a", "b", "c"])):
            row = by["named", near, *key]
            expected = interval(literal(scores, near, 1, far, 30, 5))
            assert row.metrics["auroc"].interval == pytest.approx(expected, abs=1e-12)
            assert row.resamples == 30


def without_intervals(row: Result) -> Result:
    metrics = {name: estimate._replace(low=None, high=None) for name, estimate in row.metrics.items()}
    return replace(row, metrics=metrics, resamples=None)


def with_auroc(row: Result, value: float) -> Result:
    return replace(row, metrics={**row.metrics, "auroc": row.metrics["auroc"]._replace(value=value)})


def test_only_intervals_are_added_and_means_keep_them(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=20)
    assert [without_intervals(r) for r in found] == [*rows, *means(rows)]
    for row in found:
        for metric in ("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"):
            low, high = row.metrics[metric].interval
            assert 0 <= low <= high <= 1
    assert means(found) == [r for r in found if r.ood_set == MEAN]
    assert {r.resamples for r in means(single(found))} == {None}  # an interval of a mean is no mean of intervals
    changed = [with_auroc(r, 0.01) if r.ood_set == "a" else r for r in found]
    kept = [r for r in means(changed) if r.resamples]
    assert {r.group for r in kept} == {"far"}  # means that no longer hold lend nothing


def test_a_mean_is_known_better_than_its_sets(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=200)
    widths = {
        r.ood_set: r.metrics["auroc"].high - r.metrics["auroc"].low
        for r in found
        if r.detector == "noise" and r.id_set == "id" and r.group in ("", OOD.get(r.ood_set))
    }
    assert widths[MEAN] < min(widths[name] for name in OOD)


def test_label_free_detectors_are_compared_with_those_given_names_or_labels(
    rows: list[Result], scores: dict[str, Tensor]
):
    found, comparisons = bootstrap(rows, scores, NAMES, resamples=200, seed=5)
    assert [(c.id_set, c.label_free, c.names_based) for c in comparisons] == [
        (near, free, told) for near in ("id", "shifted") for free in ("free", "noise") for told in ("named", "labels")
    ]
    by = {(c.id_set, c.label_free, c.names_based): c for c in comparisons}
    equal, better, worse = by["id", "free", "labels"], by["id", "free", "named"], by["id", "noise", "named"]
    assert (equal.difference, equal.difference_low, equal.difference_high, equal.p_value) == (0, 0, 0, 1)
    assert better.difference > 0
    assert better.p_value < 0.05
    assert worse.difference < 0
    assert worse.p_value == pytest.approx(2 / 201)
    overall = {r.detector: r for r in found if r.id_set == "id" and r.ood_set == MEAN and not r.group}
    assert better.difference == overall["free"].metrics["auroc"].value - overall["named"].metrics["auroc"].value
    drawn = [literal(scores, "id", k, list(OOD), 200, 5) for k in (0, 1)]
    assert better.p_value == paired_p_value(*drawn)
    assert (better.difference_low, better.difference_high) == pytest.approx(interval(drawn[0] - drawn[1]), abs=1e-12)


def test_other_detectors_and_other_id_sets_change_nothing(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=20)
    few = [r for r in rows if r.detector == "named" and r.id_set == "shifted"]
    alone, none = bootstrap(few, {name: s[:, 1:2] for name, s in scores.items()}, ["named"], resamples=20)
    assert alone == [r for r in found if r.detector == "named" and r.id_set == "shifted"]
    assert none == []


def test_streams_have_no_intervals(rows: list[Result], scores: dict[str, Tensor]):
    metrics = {**rows[0].metrics, "auroc": Estimate(0.9, std=0.1)}
    stream = replace(rows[0], detector="AdaNeg", stream=True, orders=3, metrics=metrics)
    found, _ = bootstrap([*rows, stream], scores, NAMES, resamples=5)
    assert stream in found
    assert {r.resamples for r in found if r.stream} == {None}
    assert bootstrap([stream], scores, NAMES, resamples=5) == ([stream, *means([stream])], [])
