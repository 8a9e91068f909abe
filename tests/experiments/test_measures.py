"""What finished lines measured: detectors' metrics, measures of clusters, sizes of label sets."""

from dataclasses import replace
from pathlib import Path

import pytest
from result_rows import bounded, result

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line, read_lines
from ood_lightning.experiments.measures import Point, Sets, read_points
from ood_lightning.experiments.records import PlannedLine, Record, plan
from ood_lightning.metrics.results import Estimate, Result, means
from ood_lightning.report.stored import write_results

OUT = Path("out")
CHAIN = read_grid("steps:\n  fit: --c {c}\n  test: --d {c}\ngrid: {c: [8, 16]}", Path("g.yaml"))


def rows(auroc: float) -> list[Result]:
    of_sets = [
        *(result(name, "near1", auroc, group="near") for name in ("MCM", "NegLabel")),
        *(result(name, "far1", 0.5) for name in ("MCM", "NegLabel")),
    ]
    shifted = [replace(row, id_set="shaded") for row in of_sets]
    return [*map(bounded, of_sets), *shifted, *map(bounded, means(of_sets)), *means(shifted)]


def finish(line: PlannedLine, auroc: float, purity: float) -> None:
    """Write what the steps of a line would have written."""
    for step in line.steps:
        step.folder.mkdir(parents=True, exist_ok=True)
        if step.step.command == "fit":
            words = {"method": "ClusterMine", "sha256": "aa", "positives": 3}
            content = {"clusters": {"purity": purity}, "truth": None, "label_sets": {"labels": words}}
            write_quality(step.folder / "quality.json", content)
        else:
            write_results(step.folder, rows(auroc), {})
            LabelSet((Positive("oak"),), ("dog",), {"method": "hand"}).write(step.folder / "labels/mined.json")
        Record(step.settings, True, []).write(step.folder)


@pytest.fixture
def planned() -> list[PlannedLine]:
    for line, auroc in zip(plan(CHAIN, OUT), (0.7, 0.9), strict=True):
        finish(line, auroc, purity=auroc - 0.5)
    return plan(CHAIN, OUT)


def test_a_metric_has_a_point_for_each_detector_with_its_interval(planned: list[PlannedLine]):
    points = read_points(planned, "auroc", ["c", "detector"], Sets())
    assert [(point.line, point.settings) for point in points] == [
        (f"c-{c}", {"c": c, "detector": detector}) for c in ("8", "16") for detector in ("MCM", "NegLabel")
    ]
    assert [point.estimate.value for point in points] == pytest.approx([0.6, 0.6, 0.7, 0.7])
    assert {point.estimate.interval for point in points} == {(0.1, 0.2)}


def test_other_sets(planned: list[PlannedLine]):
    (first, *_) = read_points(planned, "auroc", ["c"], Sets("shaded", "near1"))
    assert first.estimate == Estimate(0.7)
    with pytest.raises(
        SettingsError, match="no results of 'x' and 'mean': its ID sets are birds, shaded, its OOD sets"
    ):
        read_points(planned, "auroc", ["c"], Sets("x"))


def test_measures_of_clusters_and_sizes_of_label_sets(planned: list[PlannedLine]):
    points = read_points(planned, "purity", ["c"], Sets())
    assert points[0] == Point("c-8", {"c": "8"}, Estimate(pytest.approx(0.2)))
    sizes = {
        point.settings["detector"]: point.estimate.value for point in read_points(planned, "positives", [], Sets())
    }
    assert sizes == {"mined": 1}  # of the last step


def test_what_is_not_there_is_named(planned: list[PlannedLine]):
    with pytest.raises(SettingsError, match=r"no measure 'nope': there are purity, auroc, .* and positives"):
        read_points(planned, "nope", ["c"], Sets())
    with pytest.raises(SettingsError, match="the line c-8 has no setting 'k': it has c"):
        read_points(planned, "auroc", ["k"], Sets())
    with pytest.raises(SettingsError, match="none of the sweep's lines is finished"):
        read_points(plan(CHAIN, Path("elsewhere")), "auroc", ["c"], Sets())


def test_a_setting_of_written_lines_is_an_option():
    lines: list[Line] = read_lines("a: test --k 3\nb: test --k=4\nc: test", Path("lines.txt"))
    for line in plan(lines, OUT)[:2]:
        finish(line, 0.8, 0.0)
    points = read_points(plan(lines, OUT), "auroc", ["k"], Sets())  # c is not finished
    assert [point.settings["k"] for point in points] == ["3", "3", "4", "4"]

    finish(plan(lines, OUT)[2], 0.8, 0.0)
    with pytest.raises(SettingsError, match="the line c has no setting 'k': no option --k"):
        read_points(plan(lines, OUT), "auroc", ["k"], Sets())
