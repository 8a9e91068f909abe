"""Intervals of rows and of their means, and comparisons: from the rows' own scores, against literal draws."""

from dataclasses import replace
from hashlib import sha256
from statistics import fmean

import pytest
import torch
from torch import Tensor

from ood_lightning.functional import roc
from ood_lightning.functional.bootstrap import interval, paired_p_value, resampled
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import MEAN, Estimate, Result, evaluate, means, single

SUPERVISION = {"free": ("id_images",), "named": ("id_names",), "noise": (), "labels": ("id_images", "id_labels")}
OOD = {"a": "near", "b": "near", "c": "far"}
NAMES = list(SUPERVISION)
SIZES = {"id": 60, "shifted": 30, "a": 20, "b": 40, "c": 25}


@pytest.fixture(scope="module")
def scores() -> dict[str, Tensor]:
    """`free` and `labels` are equal and good, `named` is less so, `noise` knows nothing."""
    draw = torch.Generator().manual_seed(3)
    by_set = {}
    for name, n in SIZES.items():
        base = torch.randn(n, dtype=torch.float64, generator=draw) + 2 * (name not in OOD)
        blurred = base + torch.randn(n, dtype=torch.float64, generator=draw)
        noise = torch.randn(n, dtype=torch.float64, generator=draw)
        by_set[name] = torch.stack([base, blurred, noise, base], dim=1).round(decimals=1)
    return by_set


@pytest.fixture(scope="module")
def rows(scores: dict[str, Tensor]) -> list[Result]:
    return [
        evaluate(
            name,
            id_set,
            ood_set,
            scores[id_set][:, k],
            scores[ood_set][:, k],
            supervision=SUPERVISION[name],
            group=group,
        )
        for k, name in enumerate(NAMES)
        for id_set in ("id", "shifted")
        for ood_set, group in OOD.items()
    ]


def literal(
    scores: dict[str, Tensor], id_set: str, column: int, ood_sets: list[str], resamples: int, seed: int
) -> Tensor:
    """AUROC of each resample as a mean over sets, with every image drawn by hand."""
    generators = {
        name: torch.Generator().manual_seed(int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6]))
        for name in (id_set, *ood_sets)
    }

    values = []
    for _ in range(resamples):
        drawn = {
            name: scores[name][torch.randint(SIZES[name], (SIZES[name],), generator=generator), column]
            for name, generator in generators.items()
        }
        values.append(fmean(float(roc.auroc(drawn[id_set], drawn[name])) for name in ood_sets))
    return torch.tensor(values, dtype=torch.float64)


def test_rows_and_means_hold_the_intervals_of_literal_draws(rows: list[Result], scores: dict[str, Tensor]):
    results, _ = bootstrap(rows, scores, NAMES, resamples=30, seed=5)
    by_sets = {(r.detector, r.id_set, r.ood_set, r.group): r for r in results}
    members = {("b", "near"): ["b"], (MEAN, "near"): ["a", "b"], (MEAN, ""): ["a", "b", "c"]}
    for id_set in ("id", "shifted"):
        for key, ood_sets in members.items():
            row = by_sets["named", id_set, *key]
            expected = interval(literal(scores, id_set, 1, ood_sets, 30, 5))
            assert row.metrics["auroc"].interval == pytest.approx(expected, abs=1e-12)
            assert row.resamples == 30


def without_intervals(row: Result) -> Result:
    metrics = {name: estimate._replace(low=None, high=None) for name, estimate in row.metrics.items()}
    return replace(row, metrics=metrics, resamples=None)


def with_auroc(row: Result, value: float) -> Result:
    return replace(row, metrics={**row.metrics, "auroc": row.metrics["auroc"]._replace(value=value)})


def test_only_intervals_are_added_and_means_keep_them(rows: list[Result], scores: dict[str, Tensor]):
    results, _ = bootstrap(rows, scores, NAMES, resamples=20)
    assert [without_intervals(r) for r in results] == [*rows, *means(rows)]
    for row in results:
        for metric in ("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"):
            low, high = row.metrics[metric].interval
            assert 0 <= low <= high <= 1

    assert means(results) == [r for r in results if r.ood_set == MEAN]
    assert {r.resamples for r in means(single(results))} == {None}  # an interval of a mean is no mean of intervals
    changed = [with_auroc(r, 0.01) if r.ood_set == "a" else r for r in results]
    kept = [r for r in means(changed) if r.resamples]
    assert {r.group for r in kept} == {"far"}  # means that no longer hold lend nothing


def test_each_of_the_three_metrics_has_its_own_interval_and_others_have_none(
    rows: list[Result], scores: dict[str, Tensor]
):
    further = [replace(r, metrics={**r.metrics, "gap": Estimate(0.25)}) for r in rows]
    results, _ = bootstrap(further, scores, NAMES, resamples=20)
    drawn = resampled(scores["id"], [scores["a"]], [seed_of("id"), seed_of("a")], resamples=20)
    row = next(r for r in results if (r.detector, r.id_set, r.ood_set) == ("named", "id", "a"))
    for name, values in zip(("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"), drawn, strict=True):
        assert row.metrics[name].interval == interval(values[:, 0, 1])
    assert {row.metrics[name].interval for name in ("aupr_in", "aupr_out", "gap")} == {None}
    assert row.metrics["gap"].value == 0.25


def seed_of(name: str, seed: int = 0) -> int:
    """The documented seed of one set's draws."""
    return int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6])


def test_a_mean_is_known_better_than_its_sets(rows: list[Result], scores: dict[str, Tensor]):
    results, _ = bootstrap(rows, scores, NAMES, resamples=200)
    widths = {
        r.ood_set: r.metrics["auroc"].high - r.metrics["auroc"].low
        for r in results
        if r.detector == "noise" and r.id_set == "id" and r.group in ("", OOD.get(r.ood_set))
    }
    assert widths[MEAN] < min(widths[name] for name in OOD)


def test_label_free_detectors_are_compared_with_those_given_names_or_labels(
    rows: list[Result], scores: dict[str, Tensor]
):
    results, comparisons = bootstrap(rows, scores, NAMES, resamples=200, seed=5)
    assert [(c.id_set, c.label_free, c.names_based) for c in comparisons] == [
        (id_set, free, named)
        for id_set in ("id", "shifted")
        for free in ("free", "noise")
        for named in ("named", "labels")
    ]

    by_pair = {(c.id_set, c.label_free, c.names_based): c for c in comparisons}
    equal = by_pair["id", "free", "labels"]
    better = by_pair["id", "free", "named"]
    worse = by_pair["id", "noise", "named"]
    assert (equal.difference, equal.difference_low, equal.difference_high, equal.p_value) == (0, 0, 0, 1)
    assert better.difference > 0
    assert better.p_value < 0.05
    assert worse.difference < 0
    assert worse.p_value == pytest.approx(2 / 201)
    assert {c.resamples for c in comparisons} == {200}

    overall = {r.detector: r for r in results if r.id_set == "id" and r.ood_set == MEAN and not r.group}
    assert better.difference == overall["free"].metrics["auroc"].value - overall["named"].metrics["auroc"].value
    drawn = [literal(scores, "id", k, list(OOD), 200, 5) for k in (0, 1)]
    assert better.p_value == paired_p_value(*drawn)
    assert (better.difference_low, better.difference_high) == pytest.approx(interval(drawn[0] - drawn[1]), abs=1e-12)


@pytest.mark.parametrize(
    ("supervision", "is_named"),
    [("id_names", True), ("ood_names", True), ("id_labels", True), ("id_images", False), ("llm", False)],
)
def test_names_and_labels_make_a_detector_names_based(supervision: str, is_named: bool, scores: dict[str, Tensor]):
    pairs = {"free": (), "other": ("id_images", supervision)}
    rows = [
        evaluate(name, "id", "a", scores["id"][:, k], scores["a"][:, k], supervision=pairs[name])
        for k, name in enumerate(pairs)
    ]
    _, comparisons = bootstrap(rows, {name: s[:, :2] for name, s in scores.items()}, list(pairs), resamples=2)
    assert [(c.label_free, c.names_based) for c in comparisons] == [("free", "other")] * is_named


def test_other_detectors_and_other_id_sets_change_nothing(rows: list[Result], scores: dict[str, Tensor]):
    results, _ = bootstrap(rows, scores, NAMES, resamples=20)
    few = [r for r in rows if r.detector == "named" and r.id_set == "shifted"]
    alone, none = bootstrap(few, {name: s[:, 1:2] for name, s in scores.items()}, ["named"], resamples=20)
    assert alone == [r for r in results if r.detector == "named" and r.id_set == "shifted"]
    assert none == []


def test_streams_have_no_intervals(rows: list[Result], scores: dict[str, Tensor]):
    metrics = {**rows[0].metrics, "auroc": Estimate(0.9, std=0.1)}
    stream = replace(rows[0], detector="AdaNeg", stream=True, orders=3, metrics=metrics)
    results, _ = bootstrap([*rows, stream], scores, NAMES, resamples=5)
    assert stream in results
    assert {r.resamples for r in results if r.stream} == {None}
    assert bootstrap([stream], scores, NAMES, resamples=5) == ([stream, *means([stream])], [])


def p_value_by_hand(first: Tensor, second: Tensor) -> float:
    """Twice the smaller share of resamples in which one is not better, the observed data counted as one more."""
    first_not_better = second_not_better = 0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        first_not_better += a <= b
        second_not_better += b <= a
    return min(1.0, 2 * (1 + min(first_not_better, second_not_better)) / (1 + len(first)))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_p_value_counts_every_resample_in_which_the_better_one_is_not_better(swapped: bool):
    draw = torch.Generator().manual_seed(8)
    scores = {}
    for name, n in (("id", 60), ("a", 40)):
        image = torch.randn(n, 1, generator=draw, dtype=torch.float64) + (name == "id")
        noise = torch.randn(n, 2, generator=draw, dtype=torch.float64)
        scores[name] = image + noise * torch.tensor([0.8, 1.2])

    supervision = [("id_names",), ("id_images",)] if swapped else [("id_images",), ("id_names",)]
    rows = [
        evaluate(name, "id", "a", scores["id"][:, k], scores["a"][:, k], supervision=supervision[k])
        for k, name in enumerate(("less noise", "more noise"))
    ]
    _, (comparison,) = bootstrap(rows, scores, ["less noise", "more noise"], resamples=100, seed=1)
    drawn = resampled(scores["id"], [scores["a"]], [seed_of("id", 1), seed_of("a", 1)], resamples=100).auroc[:, 0]
    columns = (1, 0) if swapped else (0, 1)
    expected = p_value_by_hand(*(drawn[:, k] for k in columns))
    assert 2 * 3 / 101 < expected < 0.9  # between the extremes, where only the count decides
    assert comparison.p_value == expected
    assert (comparison.difference > 0) != swapped
