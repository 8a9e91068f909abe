"""Intervals of rows and of their means, and comparisons: from the rows' own scores, against literal draws."""

from dataclasses import replace
from hashlib import sha256
from statistics import fmean

import pytest
import torch
from torch import Tensor

from ood_lightning.functional import roc
from ood_lightning.functional.bootstrap import interval, paired_p_value
from ood_lightning.metrics.intervals import Comparison, bootstrap
from ood_lightning.metrics.results import MEAN, Result, evaluate, means, single

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
            assert row.interval("auroc") == pytest.approx(expected, abs=1e-12)
            assert row.resamples == 30


def test_only_intervals_are_added_and_means_keep_them(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=20)
    bounds = {name: None for name in vars(found[0]) if name.endswith(("_low", "_high"))} | {"resamples": None}
    assert len(bounds) == 7
    assert [replace(r, **bounds) for r in found] == [*rows, *means(rows)]
    for row in found:
        for metric in ("auroc", "fpr_ood_at_id_tpr95", "fpr_id_at_ood_tpr95"):
            low, high = row.interval(metric)
            assert 0 <= low <= high <= 1
    assert means(found) == [r for r in found if r.ood_set == MEAN]
    assert {r.resamples for r in means(single(found))} == {None}  # an interval of a mean is no mean of intervals
    changed = [replace(r, auroc=r.auroc / 2) if r.ood_set == "a" else r for r in found]
    kept = [r for r in means(changed) if r.resamples]
    assert {r.group for r in kept} == {"far"}  # means that no longer hold lend nothing


def test_a_mean_is_known_better_than_its_sets(rows: list[Result], scores: dict[str, Tensor]):
    found, _ = bootstrap(rows, scores, NAMES, resamples=200)
    widths = {
        r.ood_set: r.auroc_high - r.auroc_low
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
    overall = {r.detector: r.auroc for r in found if r.id_set == "id" and r.ood_set == MEAN and not r.group}
    assert better.difference == overall["free"] - overall["named"]
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
    stream = replace(rows[0], detector="AdaNeg", stream=True, orders=3, auroc_std=0.1)
    found, _ = bootstrap([*rows, stream], scores, NAMES, resamples=5)
    assert stream in found
    assert {r.resamples for r in found if r.stream} == {None}
    assert bootstrap([stream], scores, NAMES, resamples=5) == ([stream, *means([stream])], [])


def test_a_comparison_of_other_columns_is_refused():
    with pytest.raises(ValueError, match=r"expected .*p_value"):
        Comparison.from_row({"id_set": "id"})
