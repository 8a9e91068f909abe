import csv
import io
import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from ood_lightning.functional import roc
from ood_lightning.metrics.results import Result, evaluate, means


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


def test_every_metric_lands_in_its_own_field(row: Result):
    generator = torch.Generator().manual_seed(0)
    sides = torch.randn(50, generator=generator) + 1, torch.randn(20, generator=generator)
    assert row.auroc == float(roc.auroc(*sides))
    assert row.fpr_ood_at_id_tpr95 == float(roc.fpr_ood_at_id_tpr(*sides, 0.95))
    assert row.fpr_id_at_ood_tpr95 == float(roc.fpr_id_at_ood_tpr(*sides, 0.95))
    assert row.aupr_in == float(roc.aupr_in(*sides))
    assert row.aupr_out == float(roc.aupr_out(*sides))
    assert len({row.auroc, row.fpr_ood_at_id_tpr95, row.fpr_id_at_ood_tpr95, row.aupr_in, row.aupr_out}) == 5
    assert (row.n_id, row.n_ood, row.supervision, row.stream) == (50, 20, ("id_names", "llm"), False)


def test_a_row_survives_json_and_csv(row: Result):
    spread = {"auroc_std": 0.25, "fpr_ood_at_id_tpr95_std": 0.125, "orders": 3}
    stream = replace(row, supervision=(), stream=True, group="", recipe="", **spread)
    bounded = replace(row, auroc_low=1 / 3, auroc_high=0.9, fpr_id_at_ood_tpr95_low=0.0, resamples=1000)
    for result in (row, stream, bounded):
        assert Result.from_row(json.loads(json.dumps(result.to_row()))) == result
        text = io.StringIO()
        writer = csv.DictWriter(text, result.to_row())
        writer.writeheader()
        writer.writerow(result.to_row())
        text.seek(0)
        assert Result.from_row(next(csv.DictReader(text))) == result


def test_a_row_written_before_streams_were_measured_and_intervals_drawn_is_read(row: Result):
    new = {"auroc_std", "fpr_ood@id_tpr95_std", "orders", "resamples"}
    new |= {f"{name}_{side}" for name in ("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95") for side in ("low", "high")}
    assert new <= set(row.to_row())
    assert Result.from_row({name: value for name, value in row.to_row().items() if name not in new}) == row


def test_a_mean_over_streams_has_no_deviation_and_counts_the_smallest_id_side(row: Result):
    rows = [replace(row, stream=True, auroc_std=0.1, fpr_ood_at_id_tpr95_std=0.1, orders=3, ood_set=s) for s in "ab"]
    mean = means([rows[0], replace(rows[1], n_id=7)])[-1]
    assert (mean.auroc_std, mean.fpr_ood_at_id_tpr95_std, mean.orders, mean.n_id) == (None, None, 3, 7)


def test_the_two_fprs_never_share_a_name(row: Result):
    columns = set(row.to_row())
    assert {"fpr_ood@id_tpr95", "fpr_id@ood_tpr95"} <= columns
    assert not any("_at_" in column or column == "fpr95" for column in columns)


def test_a_row_with_other_columns_is_refused(row: Result):
    with pytest.raises(ValueError, match=r"unknown columns \['fpr95'\]"):
        Result.from_row(row.to_row() | {"fpr95": 0.3})
    with pytest.raises(ValueError, match=r"lacks \['auroc'\]"):
        Result.from_row({name: value for name, value in row.to_row().items() if name != "auroc"})
    with pytest.raises(ValueError, match="expected true or false"):
        Result.from_row(row.to_row() | {"stream": "perhaps"})


def test_a_row_cannot_be_changed(row: Result):
    with pytest.raises(FrozenInstanceError):
        row.auroc = 1.0


def test_means_are_over_sets_and_not_over_images(row: Result):
    small = replace(row, ood_set="small", auroc=0.5, fpr_ood_at_id_tpr95=0.9, n_ood=10)
    large = replace(row, ood_set="large", auroc=0.9, fpr_ood_at_id_tpr95=0.1, n_ood=90, group="far")
    other = replace(row, ood_set="other", auroc=0.7, fpr_ood_at_id_tpr95=0.5, n_ood=90, group="far")
    rows = means([small, large, other])
    assert [(row.ood_set, row.group) for row in rows] == [("mean", "near"), ("mean", "far"), ("mean", "")]
    assert [row.auroc for row in rows] == pytest.approx([0.5, 0.8, 0.7])
    assert [row.fpr_ood_at_id_tpr95 for row in rows] == pytest.approx([0.9, 0.3, 0.5])
    assert [row.n_ood for row in rows] == [10, 180, 190]
    assert {row.n_id for row in rows} == {50}


def test_detectors_id_sets_and_recipes_have_means_of_their_own(row: Result):
    keys = [("a", "x", "1"), ("b", "x", "1"), ("a", "y", "1"), ("a", "x", "2")]
    rows = [replace(row, group="", detector=name, id_set=place, recipe=recipe) for name, place, recipe in keys]
    assert [(got.detector, got.id_set, got.recipe) for got in means(rows)] == keys
    assert means([]) == []


def test_a_set_in_two_groups_counts_once_in_the_mean_over_all(row: Result):
    again = replace(row, group="far")
    other = replace(row, ood_set="other", auroc=0.25)
    assert means([row, again, other])[-1].auroc == pytest.approx((row.auroc + 0.25) / 2)


def test_earlier_means_are_not_averaged_again_and_lend_their_intervals(row: Result):
    other = replace(row, ood_set="other", auroc=0.25, auroc_low=0.2, auroc_high=0.3, resamples=9)
    plain = means([row, other])
    assert [mean.interval("auroc") for mean in plain] == [None, None]
    assert means([row, other, *plain]) == plain
    known = replace(plain[1], auroc_low=0.4, auroc_high=0.6, resamples=9)
    assert means([known, row, other]) == [plain[0], known]
    assert means([known, row]) == means([row])  # of other sets


def test_rows_that_do_not_belong_together_are_refused(row: Result):
    with pytest.raises(ValueError, match="two different results for 'ninco'"):
        means([row, replace(row, auroc=0.1)])
    with pytest.raises(ValueError, match="counts 50 ID images in one row and 49"):
        means([row, replace(row, ood_set="other", n_id=49)])
