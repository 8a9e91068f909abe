"""What is printed: all of it, in tables that fit, whatever the terminal's width."""

from dataclasses import replace

import pytest
from rich.console import Console

from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import Estimate, Result
from ood_lightning.report.tables import Table
from ood_lightning.report.terminal import MOST, fitted, print_results, print_tables

Said = pytest.CaptureFixture[str]


VALUES = {"auroc": 0.9, "fpr_ood@id_tpr95": 0.2, "fpr_id@ood_tpr95": 0.3, "aupr_in": 0.91, "aupr_out": 0.92}


def results(detectors: int, sets: int = 8) -> list[Result]:
    metrics = {name: Estimate(value) for name, value in VALUES.items()}
    return [
        Result(f"Detector{d}", "pets", f"ood_set_{s}", metrics, 10, 20, ("id_names",), group="near")
        for d in range(detectors)
        for s in range(sets)
    ]


def test_few_detectors_have_both_fprs_of_every_set_in_tables_of_their_own(capsys: Said):
    compared = [Comparison("pets", "Detector0", "Detector1", 0.01, 0.0, 0.02, 0.04, 99)]
    print_results(results(2), compared, {"not_run": {"KNN": "needs pictures"}})
    said = capsys.readouterr().out
    assert said.count("ood_set_7") == 2
    assert "90.00 / 20.00" in said
    assert "mean over 8 OOD sets (%)" in said
    assert "+1.00, p = 0.040" in said
    assert "Least possible: 0.020. Comparisons made: 1;" in said
    assert "KNN: not run, needs pictures" in said
    assert "results.md" not in said


def test_pictures_that_cannot_be_decoded_are_listed_whatever_their_names(capsys: Said):
    bad = {"pets": [f"p.tar {key}: no JPEG" for key in ("[red]a", "b\nc\x1b[2J", "猫", "d", "e", "f", "g")]}
    print_results(results(1), metadata={"bad_samples": bad})
    said = capsys.readouterr().out
    assert "pets: 7 pictures cannot be read" in said
    assert "- p.tar [red]a: no JPEG\n" in said
    assert "- p.tar b\\nc\\x1b[2J: no JPEG\n" in said
    assert "- p.tar 猫: no JPEG\n" in said
    assert "p.tar f:" not in said
    assert "- and 2 more" in said


def test_the_most_detectors_that_fit_have_both_fprs_of_every_set(capsys: Said):
    print_results(results(MOST))
    said = capsys.readouterr().out
    assert "90.00 / 20.00" in said
    assert "results.md" not in said


def test_streams_do_not_count_among_the_detectors_that_fit(capsys: Said):
    streams = [replace(result, stream=True, detector=f"S {result.detector}") for result in results(2)]
    print_results([*results(MOST - 1), *streams])
    assert "results.md" not in capsys.readouterr().out


def test_many_detectors_have_the_auroc_of_every_set_and_all_means(capsys: Said):
    print_results(results(MOST + 1))
    said = capsys.readouterr().out
    assert "ood_set_7" in said
    assert "90.00 / 20.00" not in said
    assert [f"Detector{MOST}", "id_names", "90.00", "20.00", "30.00"] in [line.split() for line in said.splitlines()]
    assert "both FPR95s of single sets are in results.csv and results.md" in said


def test_streams_have_tables_of_their_own_without_comparisons(capsys: Said):
    compared = [Comparison("pets", "Detector0", "Detector1", 0.01, 0.0, 0.02, 0.04, 99)]
    streamed = []
    for result in results(1):
        metrics = {**result.metrics, "auroc": Estimate(0.9, std=0.01)}
        streamed.append(replace(result, stream=True, orders=3, metrics=metrics))
    print_results(streamed, compared)
    said = capsys.readouterr().out
    assert "90.00 ± 1.00 / 20.00" in said
    assert "p = " not in said


@pytest.mark.parametrize("width", [60, 80, 100, 164, 165])
def test_no_table_is_cut_or_wider_than_the_terminal(width: int, capsys: Said):
    lines = [["detector", *(f"set number {i}" for i in range(9))], ["A rather long name", *("12.34 / 56.78",) * 9]]
    print_tables([Table("title", lines)], Console(width=width))
    said = capsys.readouterr().out
    assert "…" not in said
    assert max(len(line) for line in said.splitlines()) <= width
    assert said.count("12.34 / 56.78") == 9
    assert all(f"set number {i}" in said for i in range(9))
    assert said.count("A rather long name") == said.count("title") == said.count("(continued)") + 1
    assert ("(continued)" in said) == (width < 165)


def test_a_column_wider_than_the_terminal_is_wrapped_and_not_cut(capsys: Said):
    lines = [["a", "b" * 50], ["c", "d"]]
    print_tables([Table("title", lines)], Console(width=30))
    said = capsys.readouterr().out
    assert said.count("b") == 50
    assert said.count("title") == 1
    assert fitted(lines, 30) == [lines]


def test_titles_and_names_are_no_markup(capsys: Said):
    print_tables([Table("[red]title", [["detector", "[bold]set"], ["[dim]MCM", "1"]], "[i]note")])
    said = capsys.readouterr().out
    assert all(text in said for text in ("[red]title", "[bold]set", "[dim]MCM", "[i]note"))


def test_columns_keep_their_order_and_the_first_is_in_every_part():
    lines = [["name", "one", "two", "three"], ["x", "1", "2", "3"]]
    assert fitted(lines, 100) == [lines]
    narrow = fitted(lines, 16)
    assert [part[0] for part in narrow] == [["name", "one"], ["name", "two"], ["name", "three"]]
    assert [part[1] for part in narrow] == [["x", "1"], ["x", "2"], ["x", "3"]]
