"""Rows of one detector and two sets: every metric under its name, and means over sets and orders."""

from dataclasses import FrozenInstanceError, replace
from statistics import fmean, stdev

import pytest
import torch
from result_rows import changed
from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional import roc
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.results import Estimate, Result, evaluate, means, over_orders
from ood_lightning.metrics.standard import STANDARD


@pytest.fixture
def row() -> Result:
    generator = torch.Generator().manual_seed(0)
    return evaluate(
        "mcm",
        "imagenet",
        "ninco",
        torch.randn(50, generator=generator) + 1,
        torch.randn(20, generator=generator),
        supervision=["id_names", "llm"],
        group="near",
        recipe="abc",
    )


def with_values(row: Result, auroc: float, fpr: float) -> Result:
    return changed(changed(row, "auroc", value=auroc), "fpr_ood@id_tpr95", value=fpr)


def test_every_metric_lands_under_its_own_name(row: Result):
    generator = torch.Generator().manual_seed(0)
    sides = torch.randn(50, generator=generator) + 1, torch.randn(20, generator=generator)
    assert row.metrics == {
        "auroc": Estimate(float(roc.auroc(*sides))),
        "fpr_ood@id_tpr95": Estimate(float(roc.fpr_ood_at_id_tpr(*sides, 0.95))),
        "fpr_id@ood_tpr95": Estimate(float(roc.fpr_id_at_ood_tpr(*sides, 0.95))),
        "aupr_in": Estimate(float(roc.aupr_in(*sides))),
        "aupr_out": Estimate(float(roc.aupr_out(*sides))),
    }
    assert len(set(row.metrics.values())) == 5
    assert (row.n_id, row.n_ood, row.supervision, row.stream) == (50, 20, ("id_names", "llm"), False)


class Wrong(Metric):
    """Gives whatever it is told to."""

    title = "nothing"
    higher_is_better = True

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        return self.value


def evaluated(metric: Metric) -> Result:
    return evaluate("mcm", "birds", "cars", torch.ones(2), torch.ones(3), metrics={"mine": metric})


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.tensor(float("inf")), torch.ones(2)])
def test_a_metric_that_is_not_one_finite_number_is_refused(value: Tensor):
    with pytest.raises(SettingsError, match=r"metric 'mine' gave .* 'mcm' on 'birds' and 'cars': expected one finite"):
        evaluated(Wrong(value))


def test_a_metric_keeps_its_digits_whether_it_is_a_tensor_or_a_number():
    assert evaluated(Wrong(torch.tensor([0.1], dtype=torch.float64))).metrics == {"mine": Estimate(0.1)}
    assert evaluated(Wrong(0.1)).metrics == {"mine": Estimate(0.1)}


def test_a_row_cannot_be_changed(row: Result):
    with pytest.raises(FrozenInstanceError):
        row.metrics = {}
    with pytest.raises(AttributeError):
        row.metrics["auroc"].value = 1.0


def test_rows_that_differ_in_a_metric_alone_are_two_keys(row: Result):
    assert len({row: 1, changed(row, "auroc", value=0.5): 2, replace(row): 3}) == 2


def test_an_interval_has_both_ends_or_is_none():
    assert Estimate(0.5, low=0.0, high=0.0).interval == (0.0, 0.0)
    assert Estimate(0.5, low=0.4).interval is None
    assert Estimate(0.5, high=0.4).interval is None


def test_orders_are_averaged_metric_by_metric(row: Result):
    further = Estimate(0.25)
    first = replace(row, metrics={**row.metrics, "fpr_ood@id_tpr80": further})
    second = replace(first, metrics={name: Estimate(e.value / 2) for name, e in first.metrics.items()})
    joined = over_orders([first, second])
    pairs = {name: (e.value, e.value / 2) for name, e in first.metrics.items()}
    assert {name: e.value for name, e in joined.metrics.items()} == {n: fmean(pair) for n, pair in pairs.items()}
    with_deviation = {name: e.std for name, e in joined.metrics.items() if e.std is not None}
    expected = ("auroc", "fpr_ood@id_tpr95", "fpr_ood@id_tpr80")  # of the standard five, files hold these two
    assert with_deviation == {name: stdev(pairs[name]) for name in expected}
    assert joined.orders == 2


def test_one_order_has_no_deviation(row: Result):
    assert over_orders([row]) == replace(row, orders=1)


def test_a_mean_over_streams_has_no_deviation_and_counts_the_smallest_id_side(row: Result):
    stream = changed(changed(replace(row, stream=True, orders=3), "auroc", std=0.1), "fpr_ood@id_tpr95", std=0.1)
    mean = means([replace(stream, ood_set="a"), replace(stream, ood_set="b", n_id=7)])[-1]
    assert {estimate.std for estimate in mean.metrics.values()} == {None}
    assert (mean.orders, mean.n_id) == (3, 7)


def test_means_are_over_sets_and_not_over_images(row: Result):
    small = replace(with_values(row, 0.5, 0.9), ood_set="small", n_ood=10)
    large = replace(with_values(row, 0.9, 0.1), ood_set="large", n_ood=90, group="far")
    other = replace(with_values(row, 0.7, 0.5), ood_set="other", n_ood=90, group="far")
    rows = means([small, large, other])
    assert [(row.ood_set, row.group) for row in rows] == [("mean", "near"), ("mean", "far"), ("mean", "")]
    assert [row.metrics["auroc"].value for row in rows] == pytest.approx([0.5, 0.8, 0.7])
    assert [row.metrics["fpr_ood@id_tpr95"].value for row in rows] == pytest.approx([0.9, 0.3, 0.5])
    assert [row.n_ood for row in rows] == [10, 180, 190]
    assert {row.n_id for row in rows} == {50}


def test_a_metric_that_one_set_lacks_has_no_mean(row: Result):
    further = {**row.metrics, "fpr_ood@id_tpr80": Estimate(0.25)}
    rows = [replace(row, metrics=further), replace(row, ood_set="other")]
    for pair in (rows, rows[::-1]):
        assert list(means(pair)[-1].metrics) == list(STANDARD)


def test_detectors_id_sets_and_recipes_have_means_of_their_own(row: Result):
    keys = [("a", "x", "1"), ("b", "x", "1"), ("a", "y", "1"), ("a", "x", "2")]
    rows = [replace(row, group="", detector=name, id_set=id_set, recipe=recipe) for name, id_set, recipe in keys]
    assert [(mean.detector, mean.id_set, mean.recipe) for mean in means(rows)] == keys
    assert means([]) == []


def test_detectors_of_one_name_are_averaged_apart_by_supervision_and_stream(row: Result):
    plain = replace(row, group="")
    named, streamed = replace(plain, supervision=("id_images",)), replace(plain, stream=True)
    assert [(mean.supervision, mean.stream) for mean in means([plain, named, streamed])] == [
        (("id_names", "llm"), False),
        (("id_images",), False),
        (("id_names", "llm"), True),
    ]


def test_a_set_in_two_groups_counts_once_in_the_mean_over_all(row: Result):
    again = replace(row, group="far")
    other = changed(replace(row, ood_set="other"), "auroc", value=0.25)
    expected = (row.metrics["auroc"].value + 0.25) / 2
    assert means([row, again, other])[-1].metrics["auroc"].value == pytest.approx(expected)


def test_earlier_means_are_not_averaged_again_and_keep_their_intervals(row: Result):
    other = changed(replace(row, ood_set="other", resamples=9), "auroc", value=0.25, low=0.2, high=0.3)
    plain = means([row, other])
    assert [mean.metrics["auroc"].interval for mean in plain] == [None, None]
    assert means([row, other, *plain]) == plain
    known = changed(replace(plain[1], resamples=9), "auroc", low=0.4, high=0.6)
    assert means([known, row, other]) == [plain[0], known]
    assert means([known, row]) == means([row])  # of other sets


def test_rows_that_do_not_belong_together_are_refused(row: Result):
    with pytest.raises(ValueError, match="two different results for 'ninco'"):
        means([row, changed(row, "auroc", value=0.1)])
    with pytest.raises(ValueError, match="counts 50 ID images in one row and 49"):
        means([row, replace(row, ood_set="other", n_id=49)])
