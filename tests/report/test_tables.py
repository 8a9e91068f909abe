"""Tables from rows: percent here and only here, every cell where it belongs."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.errors import SourceError
from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import MEAN, Estimate, Result, means
from ood_lightning.metrics.rows import to_row
from ood_lightning.report.stored import read_results, write_results
from ood_lightning.report.tables import CONVENTION, grid, markdown, matrix, shifts, summary


def row(detector: str, ood_set: str, auroc: float, id_set: str = "birds", group: str = "", **change: object) -> Result:
    """AUROC and the FPR of our convention add up to 1; the other metrics are the same in all rows."""
    values = {
        "auroc": auroc,
        "fpr_ood@id_tpr95": 1 - auroc,
        "fpr_id@ood_tpr95": 0.111,
        "aupr_in": 0.222,
        "aupr_out": 0.333,
    }
    metrics = {name: Estimate(value) for name, value in values.items()}
    base = Result(detector, id_set, ood_set, metrics, 100, 40, supervision=("id_names",), group=group, recipe="abc")
    return replace(base, **change)  # type: ignore[arg-type]


def changed(result: Result, metric: str, **parts: float) -> Result:
    """With other parts of one metric's estimate."""
    return replace(result, metrics={**result.metrics, metric: result.metrics[metric]._replace(**parts)})


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
    shifted = [
        replace(changed(result, "auroc", value=result.metrics["auroc"].value - 0.1), id_set="sketches")
        for result in RESULTS
    ]
    found = cells([["detector", *line[1:]] if i == 0 else line for i, line in enumerate(shifts(RESULTS + shifted))])
    text = "\n".join(" ".join(line) for line in shifts(RESULTS + shifted))
    assert "83.00 / 17.00" in text
    assert "73.00 / 17.00" in text
    assert found


def bounded(result: Result) -> Result:
    """With intervals that a reader can tell apart."""
    result = changed(result, "auroc", low=0.1, high=0.2)
    result = changed(result, "fpr_ood@id_tpr95", low=0.3, high=0.4)
    result = changed(result, "fpr_id@ood_tpr95", low=0.5, high=0.6)
    return replace(result, resamples=1000)


COMPARED = [Comparison("birds", "ClusterMine", "MCM", 0.02, -0.01, 0.05, 0.25, 1000)]
EVERY = [bounded(result) for result in [*RESULTS, *means(RESULTS)]]


def test_the_summary_has_each_fpr_in_a_column_of_its_own_with_its_interval():
    header, *lines = summary(EVERY, "birds")
    assert header == ["detector", "given", "AUROC", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"]
    assert lines[0] == ["MCM", "id_names", "83.00 [10.00, 20.00]", "17.00 [30.00, 40.00]", "11.10 [50.00, 60.00]"]
    assert [line[0] for line in lines] == ["MCM", "ClusterMine"]
    assert summary(RESULTS, "birds")[1][2:] == ["83.00", "17.00", "11.10"]


def test_differences_stand_under_their_detectors():
    more = [replace(COMPARED[0], names_based="NegLabel", difference=-0.5, p_value=0.002), *COMPARED]
    assert matrix([*more, replace(COMPARED[0], id_set="fish", label_free="X")], "birds") == [
        ["difference to", "ClusterMine"],
        ["NegLabel", "-50.00, p = 0.002"],
        ["MCM", "+2.00, p = 0.250"],
    ]


def test_files_hold_fractions_and_say_the_same(tmp_path: Path):
    write_results(tmp_path, EVERY, {"encoder": "tiny"}, COMPARED)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["about"] == {"encoder": "tiny"}
    assert content["results"] == [to_row(r) for r in EVERY]
    assert [r["resamples"] for r in content["results"] if r["ood_set"] == MEAN] == [1000] * 6
    assert all(0 <= entry["auroc"] <= 1 for entry in content["results"])
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"fpr_ood@id_tpr95", "fpr_id@ood_tpr95", "auroc_low", "fpr_id@ood_tpr95_high"} <= set(rows[0])
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == (EVERY, COMPARED)
    assert read_results(tmp_path / "results.csv") == (EVERY, [])
    assert (tmp_path / "results.md").read_text() == f"# Results of tiny\n\n{markdown(EVERY, COMPARED)}"


def test_files_from_before_there_were_intervals_are_read(tmp_path: Path):
    new = {name for name in to_row(EVERY[0]) if name.endswith(("_low", "_high"))} | {"resamples"}
    assert len(new) == 7
    rows = [{k: v for k, v in to_row(r).items() if k not in new} for r in [*RESULTS, *means(RESULTS)]]
    (tmp_path / "results.json").write_text(json.dumps({"about": {}, "results": rows}))
    assert read_results(tmp_path) == ([*RESULTS, *means(RESULTS)], [])
    assert main(["report", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", "{", "not readable as JSON"),
        ("results.json", "{}", "results is missing"),
        ("results.json", '{"results": [{"auroc": 1}]}', "results.0.detector is missing"),
        ("results.json", '{"results": []}', "holds no results"),
        ("results.csv", "detector,auroc\nMCM,0.5\n", "results.0.id_set is missing"),
        ("results.csv", "", "holds no results"),
        ("results.json", '{"results": [], "comparisons": [{}]}', "comparisons.0.id_set is missing"),
    ],
)
def test_what_holds_no_results_is_refused(tmp_path: Path, name: str, text: str, words: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        read_results(tmp_path / name)


def test_a_run_that_is_not_there():
    with pytest.raises(SourceError, match="run `test` first"):
        read_results(Path("runs/none"))


def test_markdown_has_every_table_and_says_what_fpr95_is():
    text = markdown(EVERY + [replace(result, id_set="sketches") for result in RESULTS], COMPARED)
    assert text.count("\n| --- |") == 2 * 4 + 1 + 1  # means and three metrics of each ID set, p-values, shifts
    for cells_ in ("75.00 [10.00, 20.00]", "25.00 [30.00, 40.00]", "11.10 [50.00, 60.00]"):
        assert f"| mean near | {cells_} |" in text
    assert "| mean near | 75.00 | 80.00 |" in text  # the sketches have no intervals
    assert "| MCM | +2.00, p = 0.250 |" in text
    assert "Comparisons made: 1; p is not corrected" in text
    assert CONVENTION in text
    for table in text.split("\n\n"):
        widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_detectors_that_learn_from_the_stream_never_share_a_table_with_the_others():
    streamed = row("AdaNeg", "near1", 0.9, stream=True, orders=3)
    streamed = changed(changed(streamed, "auroc", std=0.01), "fpr_ood@id_tpr95", std=0.002)
    told = "; learns from the test stream; 3 orders"
    static, own = markdown([streamed, *EVERY], COMPARED).split(told, 1)
    assert "AdaNeg" not in static
    assert "±" not in static
    assert "| 90.00 ± 1.00 |" in own
    assert "| 10.00 ± 0.20 |" in own
    assert "MCM" not in own


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs of one detector name, in folders of one name."""
    write_results(tmp_path / "a" / "eval", EVERY[:3], {}, COMPARED)
    write_results(tmp_path / "b" / "eval", [changed(r, "auroc", value=0.6) for r in RESULTS[:3]], {})
    write_results(tmp_path / "c", RESULTS[3:], {})
    return [str(tmp_path / name) for name in ("a/eval", "b/eval", "c")]


def test_report_joins_runs_into_one_table(runs: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", runs[0], runs[2], "--out", "joined"]) == 0
    assert "joined results" in capsys.readouterr().out
    joined = [*EVERY[:3], *RESULTS[3:]]
    assert read_results(Path("joined")) == ([*joined, *means(joined)], COMPARED)
    assert "| ClusterMine | id_images | 85.00 | 15.00 | 11.10 |" in Path("joined/results.md").read_text()


def about(percent: float = 60.0, **bad: list[str]) -> dict[str, object]:
    """Of a run under `gate: warn` whose top-1 on `birds` was published as 60 %."""
    row = {"set": "birds", "percent": percent, "published": 60.0, "passes": abs(percent - 60) <= 2}
    unknown = {"set": "fish", "percent": 1.0, "published": None, "passes": None}
    return {"top1": [row, unknown], "bad_samples": bad}


def about_in(run: str) -> dict[str, object]:
    return json.loads((Path(run) / "results.json").read_text())["about"]


LOST = {"birds": ["b.tar 1: no JPEG"], "far1": ["f.tar 1: cut", "f.tar [x]: 0 bytes"]}
GATE = "the model gate was not passed (gate: warn): zero-shot top-1 of birds is 3.14 %, published 60.00 %"


@pytest.fixture
def lossy(tmp_path: Path) -> list[str]:
    """Four runs over the same sets; in `c` a picture of `far1` was whole again, `d` is from before any was told."""
    other = {"birds": ["b.tar 1: in other words"], "far1": LOST["far1"][:1]}
    for name, found in {"a": about(3.14, **LOST), "b": about(**LOST), "c": about(**other), "d": {}}.items():
        write_results(tmp_path / name, [replace(r, detector=f"{name} {r.detector}") for r in RESULTS], found)
    return [str(tmp_path / name) for name in "abcd"]


def test_a_run_says_itself_that_its_model_did_not_pass_and_what_was_left_out(lossy: list[str]):
    said = (Path(lossy[0]) / "results.md").read_text()
    assert said.startswith(f"# Results\n\n{GATE}\n\nID set birds")
    assert said.endswith(
        "\nfar1: 2 pictures cannot be decoded and are left out\n- f.tar 1: cut\n- f.tar [x]: 0 bytes\n"
    )
    assert "gate" not in (Path(lossy[1]) / "results.md").read_text()


def test_joined_runs_say_what_each_of_them_says(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    a, b = lossy[0], f"{lossy[1]}/results.csv"
    assert main(["report", a, b, "--out", "joined"]) == 0
    assert about_in("joined") == {"runs": [a, b], "remarks": [f"{a}: {GATE}"], "metrics": {}, "bad_samples": LOST}
    for said in (capsys.readouterr().out, Path("joined/results.md").read_text()):
        assert said.count(f"{a}: {GATE}") == said.count("far1: 2 pictures") == said.count("- f.tar [x]: 0 bytes") == 1
        assert "left out different" not in said
    assert said.startswith("# Results of 2 runs\n\n")
    assert main(["report", "joined", "--names", '["again"]', "--out", "twice"]) == 0  # what was joined can be joined
    again = {"runs": ["joined"], "remarks": [f"again: {a}: {GATE}"], "metrics": {}, "bad_samples": LOST}
    assert about_in("twice") == again


@pytest.mark.parametrize(
    ("other", "differ", "agree"), [("c", ["far1"], ["birds: 1 pictures"]), ("d", ["birds", "far1"], [])]
)
def test_runs_that_left_out_different_pictures_are_not_about_the_same_ones(
    other: str, differ: list[str], agree: list[str], lossy: list[str], capsys: pytest.CaptureFixture[str]
):
    """A reason in other words is no other picture."""
    runs = [lossy[1], lossy["abcd".index(other)]]
    assert main(["report", *runs, "--names", f'["B", "{other}"]', "--out", "joined"]) == 0
    words = f"B and {other} left out different pictures, so their rows are not about the same pictures"
    for said in (capsys.readouterr().out, Path("joined/results.md").read_text()):
        assert [name for name in LOST if f"{name}: {words}" in said] == differ
        assert all(f"{name} in B: {len(LOST[name])} pictures" in said for name in differ)
        assert [line for line in ("birds: 1 pictures", "far1: 2 pictures") if line in said] == agree
        assert ("far1 in c: 1 pictures" in said) == (other == "c")


def test_a_run_without_a_set_leaves_out_nothing_of_it(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    write_results(Path("e"), [replace(RESULTS[0], detector="E", id_set="fish")], {})
    assert main(["report", lossy[1], "e"]) == 0
    said = capsys.readouterr().out
    assert "birds: 1 pictures" in said
    assert "left out different" not in said


def test_a_damaged_file_beside_the_rows_is_named(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    file = Path(lossy[0], "results.json")
    file.write_text("{")
    assert main(["report", f"{lossy[0]}/results.csv"]) == 2
    assert f"{file} holds no results" in capsys.readouterr().err
    file.unlink()  # then nothing is known but the rows
    assert main(["report", f"{lossy[0]}/results.csv"]) == 0
    assert "left out" not in capsys.readouterr().out


def test_runs_whose_detectors_clash_are_told_apart(runs: list[str]):
    assert main(["report", runs[0], runs[2], f"{runs[0]}/results.csv", "--out", "once"]) == 0
    assert {r.detector for r in read_results(Path("once"))[0]} == {"eval: MCM", "c: ClusterMine"}
    assert main(["report", runs[0], runs[1], "--out", "paths"]) == 0
    assert {r.detector for r in read_results(Path("paths"))[0]} == {f"{run}: MCM" for run in runs[:2]}
    assert main(["report", runs[0], runs[1], "--names", '["one", "two"]', "--out", "named"]) == 0
    assert {r.detector for r in read_results(Path("named"))[0]} == {"one: MCM", "two: MCM"}


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
