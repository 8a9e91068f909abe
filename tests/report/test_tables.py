"""Tables from rows: percent here and only here, every cell where it belongs."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.errors import SourceError
from ood_lightning.metrics.results import Result, means
from ood_lightning.report.tables import (
    CONVENTION,
    MOST,
    grid,
    markdown,
    print_results,
    read_results,
    shifts,
    write_results,
)


def row(detector: str, ood_set: str, auroc: float, id_set: str = "birds", group: str = "", **change: object) -> Result:
    base = Result(
        detector,
        id_set,
        ood_set,
        auroc=auroc,
        fpr_ood_at_id_tpr95=1 - auroc,
        fpr_id_at_ood_tpr95=0.111,
        aupr_in=0.222,
        aupr_out=0.333,
        n_id=100,
        n_ood=40,
        supervision=("id_names",),
        group=group,
        recipe="abc",
    )
    return replace(base, **change)  # type: ignore[arg-type]


RESULTS = [
    row("MCM", "near1", 0.70, group="near"),
    row("MCM", "near2", 0.80, group="near"),
    row("MCM", "far1", 0.99, group="far"),
    row("ClusterMine", "near1", 0.75, group="near", supervision=("id_images",)),
    row("ClusterMine", "near2", 0.85, group="near", supervision=("id_images",)),
    row("ClusterMine", "far1", 0.95, group="far", supervision=("id_images",)),
]


def cells(lines: list[list[str]]) -> dict[tuple[str, str], str]:
    """By detector and column, whichever side goes down the page."""
    header, *rows = lines
    if header[0] == "detector" and header[1] != "given":
        header, *rows = [list(column) for column in zip(*lines, strict=True)]
    return {(line[0], name): cell for line in rows for name, cell in zip(header, line, strict=True)}


def test_every_cell_holds_auroc_and_fpr_in_percent_under_its_detector_and_set():
    found = cells(grid(RESULTS, "birds"))
    assert found["MCM", "near1"] == "70.00 / 30.00"
    assert found["ClusterMine", "far1"] == "95.00 / 5.00"
    assert found["MCM", "mean near"] == "75.00 / 25.00"
    assert found["ClusterMine", "mean far"] == "95.00 / 5.00"
    assert found["MCM", "mean"] == "83.00 / 17.00"  # over sets, not over groups and not pooled
    assert (found["MCM", "given"], found["ClusterMine", "given"]) == ("id_names", "id_images")
    assert len(found) == 2 * 8


def test_the_longer_side_goes_down_the_page():
    assert grid(RESULTS, "birds")[0][0] == "detector"
    assert grid(RESULTS, "birds")[0][1:] == ["MCM", "ClusterMine"]
    many = [row(f"D{i}", "near1", 0.5) for i in range(9)]
    assert grid(many, "birds")[0] == ["detector", "given", "near1", "mean"]


def test_a_set_that_a_detector_did_not_see_is_a_dash_and_nothing_given_is_said():
    found = cells(grid([*RESULTS[:3], row("X", "near1", 0.5, group="near", supervision=())], "birds"))
    assert found["X", "far1"] == "-"
    assert found["X", "mean far"] == "-"
    assert found["X", "given"] == "nothing"


def test_shifts_compare_the_means_of_all_id_sets():
    shifted = [replace(result, id_set="sketches", auroc=result.auroc - 0.1) for result in RESULTS]
    found = cells([["detector", *line[1:]] if i == 0 else line for i, line in enumerate(shifts(RESULTS + shifted))])
    text = "\n".join(" ".join(line) for line in shifts(RESULTS + shifted))
    assert "83.00 / 17.00" in text
    assert "73.00 / 17.00" in text
    assert found


def test_files_hold_fractions_and_say_the_same(tmp_path: Path):
    write_results(tmp_path, RESULTS, {"encoder": "tiny"})
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["about"] == {"encoder": "tiny"}
    assert content["results"] == [r.to_row() for r in [*RESULTS, *means(RESULTS)]]
    assert all(0 <= entry["auroc"] <= 1 for entry in content["results"])
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"fpr_ood@id_tpr95", "fpr_id@ood_tpr95"} <= set(rows[0])
    for source in (tmp_path, tmp_path / "results.json", tmp_path / "results.csv"):
        assert read_results(source) == RESULTS  # means are left out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", "{", "holds no results"),
        ("results.json", "{}", "holds no results"),
        ("results.json", '{"results": [{"auroc": 1}]}', "lacks"),
        ("results.json", '{"results": []}', "holds no results"),
        ("results.csv", "detector,auroc\nMCM,0.5\n", "lacks"),
        ("results.csv", "", "holds no results"),
    ],
)
def test_what_holds_no_results_is_refused(tmp_path: Path, name: str, text: str, words: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        read_results(tmp_path / name)


def test_a_run_that_is_not_there():
    with pytest.raises(SourceError, match="run `test` first"):
        read_results(Path("runs/none"))


def test_markdown_has_a_table_per_id_set_and_says_what_fpr95_is():
    text = markdown(RESULTS + [replace(result, id_set="sketches") for result in RESULTS])
    assert text.count("\n| --- |") == 3
    assert "| mean near | 75.00 / 25.00 | 80.00 / 20.00 |" in text
    assert CONVENTION in text
    for table in text.split("\n\n"):
        widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_detectors_that_learn_from_the_stream_never_share_a_table_with_the_others():
    streamed = row("AdaNeg", "near1", 0.9, stream=True, auroc_std=0.01, fpr_ood_at_id_tpr95_std=0.002, orders=3)
    static, own = markdown([streamed, *RESULTS]).split("ID set birds")[1:]
    assert "AdaNeg" not in static
    assert "±" not in static
    assert own.startswith(": AUROC / FPR95 (%); learns from the test stream; 3 orders, mean ± standard deviation\n")
    assert "| 90.00 ± 1.00 / 10.00 ± 0.20 |" in own
    assert "MCM" not in own


def test_the_printed_table_is_not_cut_where_no_terminal_is(capsys: pytest.CaptureFixture[str]):
    print_results([row("AVeryLongDetectorName", f"set{i}", 0.5) for i in range(30)])
    out = capsys.readouterr().out
    assert "AVeryLongDetectorName" in out
    assert "…" not in out


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs of one detector name, in folders of one name."""
    write_results(tmp_path / "a" / "eval", RESULTS[:3], {})
    write_results(tmp_path / "b" / "eval", [replace(r, auroc=0.6) for r in RESULTS[:3]], {})
    write_results(tmp_path / "c", RESULTS[3:], {})
    return [str(tmp_path / name) for name in ("a/eval", "b/eval", "c")]


def test_report_joins_runs_into_one_table(runs: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", runs[0], runs[2], "--out", "joined"]) == 0
    assert "joined results" in capsys.readouterr().out
    assert read_results(Path("joined")) == RESULTS
    assert read_results(Path("joined/results.csv")) == RESULTS
    assert "| mean | 83.00 / 17.00 | 85.00 / 15.00 |" in Path("joined/results.md").read_text()


def test_runs_whose_detectors_clash_are_told_apart(runs: list[str]):
    assert main(["report", runs[0], runs[2], f"{runs[0]}/results.csv", "--out", "once"]) == 0
    assert {r.detector for r in read_results(Path("once"))} == {"eval: MCM", "c: ClusterMine"}
    assert main(["report", runs[0], runs[1], "--out", "paths"]) == 0
    assert {r.detector for r in read_results(Path("paths"))} == {f"{run}: MCM" for run in runs[:2]}
    assert main(["report", runs[0], runs[1], "--names", '["one", "two"]', "--out", "named"]) == 0
    assert {r.detector for r in read_results(Path("named"))} == {"one: MCM", "two: MCM"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["none"], "there is no none"),
        (["{a}", "--names", '["x", "y"]'], "2 names for 1 runs"),
        (["{a}", "{b}", "--names", '["x", "x"]'], "two different results for 'near1'"),
    ],
)
def test_report_refuses_in_one_line(runs: list[str], given: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["report", *(part.format(a=runs[0], b=runs[1]) for part in given)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


def test_many_detectors_are_printed_by_their_means_and_written_whole(capsys: pytest.CaptureFixture[str]):
    results = [
        Result(f"d{i}", "pets", ood_set, 0.9, 0.2, 0.3, 0.9, 0.9, 10, 20, group="near")
        for i in range(MOST + 1)
        for ood_set in ("cars", "birds")
    ]
    print_results(results)
    said = capsys.readouterr().out
    assert "cars" not in said
    assert "mean near" in said
    assert "only means here" in said
    assert "cars" in markdown(results)
    print_results([r for r in results if r.detector != "d0"])
    assert "cars" in capsys.readouterr().out
