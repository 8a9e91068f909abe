"""Rows of files: the standard columns keep their places, further metrics come behind, old files are read."""

import csv
import io
import json
from dataclasses import replace

import pytest

from ood_lightning.metrics.columns import ROW_COLUMNS
from ood_lightning.metrics.results import Estimate, Result
from ood_lightning.metrics.rows import from_row, further_metrics, to_row

METRICS = {
    "auroc": Estimate(0.5, low=0.25, high=0.75, std=0.125),
    "fpr_ood@id_tpr95": Estimate(0.1, low=0.0, high=0.2, std=0.01),
    "fpr_id@ood_tpr95": Estimate(0.3, low=0.2, high=0.4),
    "aupr_in": Estimate(0.6),
    "aupr_out": Estimate(0.7),
}
FURTHER = {"fpr_ood@id_tpr80": Estimate(0.05, std=0.02), "gap": Estimate(0.01, low=0.0, high=0.02)}
FULL = Result("mcm", "imagenet", "ninco", METRICS, 50, 20, ("id_names", "llm"), True, "near", "abc", 3, 1000)
BARE = Result("mcm", "imagenet", "ninco", {name: Estimate(e.value) for name, e in METRICS.items()}, 50, 20)


@pytest.mark.parametrize("result", [FULL, BARE, replace(FULL, metrics=METRICS | FURTHER)])
def test_a_row_survives_json(result: Result):
    assert from_row(json.loads(json.dumps(to_row(result)))) == result


def test_the_standard_columns_have_one_order_and_each_value_lies_in_its_own():
    row = to_row(FULL)
    assert list(row) == list(ROW_COLUMNS)
    assert list(row)[3:8] == list(METRICS)
    assert list(row)[14:] == [
        *("auroc_std", "fpr_ood@id_tpr95_std", "orders", "auroc_low", "auroc_high"),
        *("fpr_ood@id_tpr95_low", "fpr_ood@id_tpr95_high", "fpr_id@ood_tpr95_low", "fpr_id@ood_tpr95_high"),
        "resamples",
    ]
    text = io.StringIO()
    csv.writer(text).writerow(row.values())
    assert text.getvalue() == (
        "mcm,imagenet,ninco,0.5,0.1,0.3,0.6,0.7,50,20,id_names+llm,True,near,abc,"
        "0.125,0.01,3,0.25,0.75,0.0,0.2,0.2,0.4,1000\r\n"
    )


def test_further_metrics_stand_behind_with_all_their_parts():
    row = to_row(replace(FULL, metrics=METRICS | FURTHER))
    behind = list(row)[len(ROW_COLUMNS) :]
    name = "fpr_ood@id_tpr80"
    assert behind == [name, f"{name}_std", f"{name}_low", f"{name}_high", "gap", "gap_std", "gap_low", "gap_high"]
    assert [row[column] for column in behind] == [0.05, 0.02, None, None, 0.01, None, 0.0, 0.02]
    assert further_metrics(row) == {"gap": set(behind[4:]), name: set(behind[:4])}


def test_a_column_without_its_parts_is_no_metric():
    assert further_metrics([*ROW_COLUMNS, "fpr95", "fpr95_std", "fpr95_low"]) == {}


def test_a_metric_that_other_runs_have_is_not_made_up():
    row = to_row(BARE) | dict.fromkeys(("gap", "gap_std", "gap_low", "gap_high"))
    assert from_row(row) == BARE


def test_a_row_written_before_streams_were_measured_and_intervals_drawn_is_read():
    later = [name for name in ROW_COLUMNS if name.endswith(("_std", "_low", "_high"))] + ["orders", "resamples"]
    assert len(later) == 10
    assert from_row({name: value for name, value in to_row(BARE).items() if name not in later}) == BARE


def test_the_two_fprs_never_share_a_name():
    assert {"fpr_ood@id_tpr95", "fpr_id@ood_tpr95"} <= set(ROW_COLUMNS)
    assert not any("_at_" in column or column == "fpr95" for column in ROW_COLUMNS)
