"""Figures in the shapes of the papers' ones; equal numbers give equal bytes."""

from typing import Any

import pytest

from ood_lightning.metrics.results import Estimate
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.figures import drawn
from ood_lightning.reproduction.item import Cell, Item, Panel, Requires, Work


def item(**panel: Any) -> Item:
    work = Work(steps={"test": "test"})
    rows = {"ImageNet": Cell(), "Sketch": Cell()}
    panels = [Panel(title="a panel", rows=rows, columns={"MCM": Cell()}, **panel)]
    requires = Requires(sets=["ninco"], encoders=["vit_h14_dfn5b"])
    return Item(title="x", requires=requires, full=work, twin=work, panels=panels)


def entry(row: str, value: float, measure: str = "auroc", bins: tuple[int, ...] = ()) -> Entry:
    return Entry(0, row, "MCM", measure, Estimate(value, value - 1, value + 1), bins=bins)


BARS = [entry("ImageNet", 80.0), entry("Sketch", 60.0)]


def test_a_table_has_no_figure():
    assert drawn(item(), BARS, "full") is None


def test_bars_of_shifted_sets_have_their_change_above():
    text = drawn(item(draw="shift"), BARS, "full")
    assert text
    assert "-25.0" in text
    assert "AUROC (%)" in text
    assert drawn(item(draw="shift"), BARS, "full") == text


def test_curves_have_the_number_of_words_on_an_axis_of_its_own():
    points = [
        entry(row, value, measure) for row in ("10", "1000") for value, measure in ((90.0, "auroc"), (7.0, "positives"))
    ]
    text = drawn(item(draw="curves"), points, "full")
    assert text
    assert ">|P|<" in text
    assert ">1000<" in text


def test_histograms_are_drawn_of_bins():
    of_hops = [entry("ImageNet", 1.0, "hops", (3, 1)), entry("Sketch", 0.0, "hops", (2,))]
    text = drawn(item(draw="histograms", label="hops"), of_hops, "full")
    assert text
    assert "Sketch" in text


@pytest.mark.parametrize("draw", ["bars", "curves", "histograms"])
def test_a_panel_without_numbers_says_so(draw: Any):
    missing = [Entry(0, "ImageNet", "MCM", "auroc", None, "needs pictures")]
    text = drawn(item(draw=draw), missing, "full")
    assert text
    assert "not run" in text
