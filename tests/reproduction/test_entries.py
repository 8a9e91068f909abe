"""The numbers of an item: verdicts, stand-ins, and why a number is missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.experiments.records import Record
from ood_lightning.metrics.results import Estimate, Result, means
from ood_lightning.report.stored import write_results
from ood_lightning.reproduction.cells import forget
from ood_lightning.reproduction.entries import Steps, entries
from ood_lightning.reproduction.entry import DIFFERS, INSIDE, WITHIN, Entry
from ood_lightning.reproduction.item import Cell, Item, Kind, Panel
from ood_lightning.reproduction.item_files import read_item
from ood_lightning.reproduction.plan import runs_of

OUT = Path("steps")
ITEM = """
title: a table
published: "1"
requires: {sets: [ninco], encoders: [vit_h14_dfn5b]}
full: &work
  steps: {fit: "fit --c {c}", test: "test --x"}
  grid: {c: [2, 4]}
twin: *work
panels:
  - cell: {step: test, id_set: imagenet-val, measure: [auroc, fpr95]}
    rows:
      MCM: {detector: MCM, published: MCM}
      PLP: {detector: PLP, published: PLP, quoted: true, twin_lacks: a probe}
      CLIPN: {detector: CLIPN, lacks: a checkpoint}
    columns: {NINCO: {ood_set: ninco}, Average: {ood_set: mean}}
  - cell: {step: fit, measure: [purity]}
    over: c
    columns: {purity: {}}
  - cell: {step: fit, measure: [purity]}
    rows:
      all: {mean_over: c}
      main's: {where: {c: "2"}, measure: [auroc], id_set: imagenet-val, ood_set: ninco, published: MCM, table: "9"}
    columns: {mean: {}}
"""


def entry(ours: Estimate | None, printed: float | None, measure: str = "auroc") -> Entry:
    return Entry(0, "row", "column", measure, ours, printed=printed)


@pytest.mark.parametrize(
    ("ours", "printed", "measure", "verdict"),
    [
        (Estimate(94.0, 93.0, 95.0), 95.0, "auroc", INSIDE),  # the ends belong to it
        (Estimate(94.0, 93.9, 94.1), 94.5, "auroc", WITHIN),
        (Estimate(94.0, 93.9, 94.1), 94.51, "auroc", DIFFERS),
        (Estimate(94.004), 94.5, "auroc", WITHIN),  # both as they are printed
        (Estimate(1500.0), 1500.4, "positives", DIFFERS),  # half a word is no half point
        (Estimate(1500.0), 1500.0, "positives", WITHIN),
        (None, 94.0, "auroc", ""),
        (Estimate(94.0), None, "auroc", ""),
    ],
)
def test_verdicts(ours: Estimate | None, printed: float | None, measure: str, verdict: str):
    assert entry(ours, printed, measure).verdict == verdict


def test_the_difference_is_ours_minus_theirs_as_printed():
    assert entry(Estimate(94.006), 94.56).difference == -0.55
    assert entry(None, 94.56).difference is None


def row(detector: str, auroc: float, fpr: float, id_set: str = "imagenet-val", ood_set: str = "ninco") -> Result:
    interval = Estimate(auroc, auroc - 0.01, auroc + 0.01)
    metrics = {"auroc": interval, "fpr_ood@id_tpr95": Estimate(fpr), "fpr_id@ood_tpr95": Estimate(0.9)}
    metrics |= {"aupr_in": Estimate(0.5), "aupr_out": Estimate(0.5)}
    return Result(detector, id_set, ood_set, metrics, n_id=10, n_ood=10)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, list[Any]]:
    """An item whose evaluation and first fit are finished."""
    monkeypatch.chdir(tmp_path)
    Path("item.yaml").write_text(ITEM)
    item = read_item("item.yaml")
    runs = runs_of(item.full, OUT, "item")
    results = [row("MCM", 0.8878, 0.49), row("PLP", 0.5, 0.9), row("MCM", 0.7, 0.6, "id_test", "plants")]
    write_results(OUT / runs[2].line.name, [*results, *means(results)], {"not_run": {"CLIPN": "needs more"}})
    write_quality(OUT / runs[0].line.name / "quality.json", {"clusters": {"purity": 0.75}, "label_sets": {}})
    for run in (runs[0], runs[2]):
        Record("", True, []).write(OUT / run.line.name)
    forget()
    return item, runs


def numbers_of(
    ran: tuple[Item, list[Any]], kind: Kind, failed: frozenset[str] = frozenset()
) -> dict[tuple[str, ...], Entry]:
    item, runs = ran
    return {(e.row, e.column, e.measure): e for e in entries(item, "clustermine", kind, Steps(runs, OUT, failed))}


def test_our_number_stands_beside_the_published_one(ran: tuple[Item, list[Any]]):
    numbers = numbers_of(ran, "full")
    mcm = numbers["MCM", "NINCO", "auroc"]
    assert mcm.ours
    assert mcm.ours[:3] == pytest.approx((88.78, 87.78, 89.78))
    assert (mcm.printed, mcm.verdict) == (88.78, INSIDE)
    fpr = numbers["MCM", "NINCO", "fpr95"]
    assert (fpr.ours, fpr.printed, fpr.convention) == (Estimate(49.0), 49.0, "ours")
    assert numbers["PLP", "NINCO", "auroc"].verdict == DIFFERS
    assert numbers["PLP", "NINCO", "auroc"].quoted
    assert numbers["CLIPN", "NINCO", "auroc"].missing == "needs a checkpoint"


def test_what_a_step_did_not_leave_is_named(ran: tuple[Item, list[Any]]):
    numbers = numbers_of(ran, "full")
    assert numbers["2", "purity", "purity"].ours == Estimate(75.0)
    assert numbers["4", "purity", "purity"].missing.startswith("needs fit, which is not finished: steps/fit-")
    failed = numbers_of(ran, "full", frozenset({ran[1][2].line.name}))
    assert failed["MCM", "NINCO", "auroc"].missing.startswith("test failed: steps/test-")


def test_a_mean_over_runs_needs_them_all(ran: tuple[Item, list[Any]]):
    assert numbers_of(ran, "full")["all", "mean", "purity"].missing.startswith("needs fit, which is not finished")

    folder = OUT / ran[1][1].line.name
    write_quality(folder / "quality.json", {"clusters": {"purity": 0.25}, "label_sets": {}})
    Record("", True, []).write(folder)
    mean = numbers_of(ran, "full")["all", "mean", "purity"].ours
    assert mean
    assert (mean.value, mean.interval, mean.std) == (50.0, None, pytest.approx(50 / 2**0.5))


def test_a_number_may_be_printed_in_another_table(ran: tuple[Item, list[Any]]):
    assert numbers_of(ran, "full")["main's", "mean", "auroc"].printed == 88.78


def test_a_twin_has_stand_ins_and_is_compared_with_nothing(ran: tuple[Item, list[Any]]):
    numbers = numbers_of(ran, "twin")
    mcm = numbers["MCM", "plants for NINCO", "auroc"]
    assert mcm.ours
    assert mcm.ours[:3] == pytest.approx((70.0, 69.0, 71.0))
    assert (mcm.printed, mcm.verdict) == (None, "")
    assert numbers["PLP", "plants for NINCO", "auroc"].missing == "needs a probe"


def test_rows_are_sorted_by_a_column_and_those_that_were_not_run_come_last(ran: tuple[Item, list[Any]]):
    item, runs = ran
    panel = replace(item.panels[0], sort_by="NINCO")
    numbers = entries(replace(item, panels=[panel]), "clustermine", "full", Steps(runs, OUT))
    assert list(dict.fromkeys(entry.row for entry in numbers)) == ["PLP", "MCM", "CLIPN"]


def test_the_peaks_of_a_step_are_printed_in_gigabytes(ran: tuple[Item, list[Any]]):
    item, runs = ran
    cell = Cell(step="test", measure=["memory", "gpu_memory"])
    panel = Panel(cell=cell, rows={"test": Cell()}, columns={"peak": Cell()})

    def numbers() -> dict[str, Entry]:
        of_step = entries(replace(item, panels=[panel]), "clustermine", "full", Steps(runs, OUT))
        return {entry.measure: entry for entry in of_step}

    assert numbers()["memory"].missing == "needs memory.json, which the step did not leave"
    path = OUT / runs[2].line.name / "memory.json"
    path.write_text('{"process": 1500000000, "gpu": null}')
    assert numbers()["memory"].ours == Estimate(1.5)
    assert numbers()["gpu_memory"].missing == "needs a GPU"
    path.write_text('{"process": 1, "gpu": 9600000000}')
    assert numbers()["gpu_memory"].ours == Estimate(9.6)
