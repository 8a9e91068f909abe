"""Differences to a reference on the same resamples, for detectors with and without a stream."""

from dataclasses import replace

import pytest
import torch

from ood_lightning.metrics.against import Against, compared_with
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import Result, evaluate, over_orders

DRAW = torch.Generator().manual_seed(0)
ID = torch.randn(60, 2, generator=DRAW, dtype=torch.float64) + torch.tensor([1.5, 1.0])
OOD = {name: torch.randn(n, 2, generator=DRAW, dtype=torch.float64) for name, n in (("near", 40), ("far", 30))}
SCORES = {"id": ID, **OOD}
FREE, NAMED = "Free", "Named"


def static_rows() -> list[Result]:
    supervision = {FREE: ("id_images",), NAMED: ("id_names",)}
    return [
        evaluate(name, "id", ood_set, ID[:, k], OOD[ood_set][:, k], supervision=supervision[name])
        for k, name in enumerate((FREE, NAMED))
        for ood_set in OOD
    ]


def stream_rows() -> tuple[list[Result], dict[tuple[str, str, str], tuple[torch.Tensor, torch.Tensor]]]:
    """A stream that gave each image the score of `Named`, and in another order that of `Free`."""
    rows, scores = [], {}
    for ood_set, oods in OOD.items():
        of_orders = [
            evaluate("Stream", "id", ood_set, ID[:, k], oods[:, k], supervision=("test_stream",), stream=True)
            for k in (1, 0)
        ]
        rows.append(over_orders(of_orders))
        scores["Stream", "id", ood_set] = ID.flip(1), oods.flip(1)
    return rows, scores


def compared(resamples: int = 300) -> dict[str, Against]:
    rows, scores = stream_rows()
    table = compared_with([*static_rows(), *rows], SCORES, [FREE, NAMED], scores, [FREE], resamples)
    return {row.detector: row for row in table}


def test_static_rows_have_the_intervals_and_p_values_of_the_run():
    rows, pairs = bootstrap(static_rows(), SCORES, [FREE, NAMED], 300)
    means = {row.detector: row for row in rows if row.ood_set == "mean"}
    table = compared()
    for name in (FREE, NAMED):
        assert table[name].auroc == means[name].metrics["auroc"]
        assert table[name].fpr == means[name].metrics["fpr_ood@id_tpr95"]

    (pair,) = pairs
    difference = table[NAMED].differences[FREE]
    assert difference.value == pytest.approx(-pair.difference)
    assert (-difference.high, -difference.low) == pytest.approx((pair.difference_low, pair.difference_high))
    assert difference.p_value == pair.p_value
    assert not table[FREE].differences  # none to itself


def test_a_stream_is_the_mean_over_its_orders_on_each_resample():
    table = compared()
    stream, both = table["Stream"], (table[FREE], table[NAMED])
    assert stream.auroc.value == pytest.approx(sum(row.auroc.value for row in both) / 2)
    # of the two columns on the same resamples one is the reference: half its difference, with the same p
    half, whole = stream.differences[FREE], table[NAMED].differences[FREE]
    assert (half.value, half.low, half.high) == pytest.approx((whole.value / 2, whole.low / 2, whole.high / 2))
    assert half.p_value == whole.p_value


def test_rows_are_sorted_by_what_they_were_given():
    assert [row.supervision for row in compared(20).values()] == [("id_images",), ("id_names",), ("test_stream",)]


def test_a_thinned_stream_is_left_out():
    rows, scores = stream_rows()
    thinned = {pair: (ids[:50], oods) for pair, (ids, oods) in scores.items()}
    table = compared_with([*static_rows(), *rows], SCORES, [FREE, NAMED], thinned, [FREE], 20)
    assert [row.detector for row in table] == [FREE, NAMED]


def test_a_reference_is_a_detector_that_was_run_without_a_stream():
    rows, scores = stream_rows()
    for name in ("Nobody", "Stream"):
        with pytest.raises(ValueError, match=f"{name} is no detector that was run .* there are Free, Named"):
            compared_with([*static_rows(), *rows], SCORES, [FREE, NAMED], scores, [name], 20)


def test_other_id_sets_are_left_aside():
    shifted = [replace(row, id_set="shifted") for row in static_rows()]
    table = compared_with([*static_rows(), *shifted], {**SCORES, "shifted": ID}, [FREE, NAMED], {}, [FREE], 20)
    assert {row.id_set for row in table} == {"id"}
