"""Remarks beside the rows, of one run and of several that are joined: the model gate, metrics, images left out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from result_rows import RESULTS

from ood_lightning.cli.main import main
from ood_lightning.report.remarks import around, joined, metric_lines, remarks
from ood_lightning.report.stored import write_results

LOST = {"birds": ["b.tar 1: no JPEG"], "far1": ["f.tar 1: cut", "f.tar [x]: 0 bytes"]}
GATE = "the model gate was not passed (gate: warn): zero-shot top-1 of birds is 3.14 %, published 60.00 %"


def metadata(percent: float = 60.0, **bad: list[str]) -> dict[str, object]:
    """Of a run under `gate: warn` whose top-1 on `birds` was published as 60 %."""
    row = {"set": "birds", "percent": percent, "published": 60.0, "passes": abs(percent - 60) <= 2}
    unknown = {"set": "fish", "percent": 1.0, "published": None, "passes": None}
    return {"top1": [row, unknown], "bad_samples": bad}


def stored_metadata(run: str) -> dict[str, object]:
    return json.loads((Path(run) / "results.json").read_text())["about"]


@pytest.fixture
def lossy(tmp_path: Path) -> list[str]:
    """Four runs over the same sets; in `c` an image of `far1` was whole again, `d` is from before any was listed."""
    other = {"birds": ["b.tar 1: in other words"], "far1": LOST["far1"][:1]}
    by_run = {"a": metadata(3.14, **LOST), "b": metadata(**LOST), "c": metadata(**other), "d": {}}
    for name, content in by_run.items():
        write_results(tmp_path / name, [replace(r, detector=f"{name} {r.detector}") for r in RESULTS], content)
    return [str(tmp_path / name) for name in "abcd"]


def test_every_model_that_did_not_pass_is_named():
    failed = [
        {"set": name, "percent": 1.0, "published": 2.0, "passes": passes}
        for name, passes in (("birds", False), ("cars", None), ("dogs", True), ("fish", False))
    ]
    assert remarks({"top1": failed, "remarks": ["before"]}) == [
        "the model gate was not passed (gate: warn): zero-shot top-1 of birds is 1.00 %, published 2.00 %; "
        "of fish is 1.00 %, published 2.00 %",
        "before",
    ]
    assert remarks({}) == []


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ({}, "# Results"),
        ({"encoder": "tiny"}, "# Results of tiny"),
        ({"runs": ["a"], "encoder": "tiny"}, "# Results of 1 run"),
        ({"runs": ["a", "b"]}, "# Results of 2 runs"),
    ],
)
def test_tables_stand_under_a_title_and_before_what_was_left_out(content: dict[str, object], title: str):
    assert around("tables\n", content) == f"{title}\n\ntables\n"
    lost = {"bad_samples": {"birds": ["b.tar 1: cut"]}}
    listed = "birds: 1 picture cannot be read and is left out\n- b.tar 1: cut\n"
    gap = {"metrics": {"gap": {"title": "a gap", "higher_is_better": True}}}
    before = f"{title}\n\nbefore\n\ntables\n\n"
    assert around("tables\n", {**content, **lost, "remarks": ["before"]}) == before + listed
    described = "gap: a gap; higher is better.\n\n"
    assert around("tables\n", {**content, **lost, **gap, "remarks": ["before"]}) == before + described + listed


def test_metrics_beyond_the_standard_ones_are_described():
    metrics = {
        "auroc": {"title": "known to all", "higher_is_better": True},
        "gap": {"title": "a gap", "higher_is_better": True},
        "loss": {"title": "a loss", "higher_is_better": False},
    }
    assert metric_lines({"metrics": metrics}) == ["gap: a gap; higher is better.", "loss: a loss; lower is better."]


def test_one_name_for_two_metrics_is_remarked():
    runs = []
    for run, title in (("a", "a gap"), ("b", "a gap"), ("c", "another gap")):
        runs.append((run, RESULTS, {"metrics": {"gap": {"title": title, "higher_is_better": True}}}))
    together = joined(runs)
    assert together["metrics"] == {"gap": {"title": "a gap", "higher_is_better": True}}
    assert together["remarks"] == ["gap is another metric in c: another gap"]


def test_a_run_says_itself_that_its_model_did_not_pass_and_what_was_left_out(lossy: list[str]):
    said = (Path(lossy[0]) / "results.md").read_text()
    assert said.startswith(f"# Results\n\n{GATE}\n\nID set birds")
    assert said.endswith("\nfar1: 2 pictures cannot be read and are left out\n- f.tar 1: cut\n- f.tar [x]: 0 bytes\n")
    assert "gate" not in (Path(lossy[1]) / "results.md").read_text()


def test_joined_runs_say_what_each_of_them_says(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    a, b = lossy[0], f"{lossy[1]}/results.csv"
    assert main(["report", a, b, "--out", "joined"]) == 0
    assert stored_metadata("joined") == {
        "runs": [a, b],
        "remarks": [f"{a}: {GATE}"],
        "metrics": {},
        "bad_samples": LOST,
    }
    for said in (capsys.readouterr().out, Path("joined/results.md").read_text()):
        assert said.count(f"{a}: {GATE}") == said.count("far1: 2 pictures") == said.count("- f.tar [x]: 0 bytes") == 1
        assert "left out different" not in said
    assert said.startswith("# Results of 2 runs\n\n")

    assert main(["report", "joined", "--names", '["again"]', "--out", "twice"]) == 0  # what was joined can be joined
    again = {"runs": ["joined"], "remarks": [f"again: {a}: {GATE}"], "metrics": {}, "bad_samples": LOST}
    assert stored_metadata("twice") == again


@pytest.mark.parametrize(
    ("other", "differ", "agree"), [("c", ["far1"], ["birds: 1 picture "]), ("d", ["birds", "far1"], [])]
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
        assert all(f"{name} in B: {len(LOST[name])} picture" in said for name in differ)
        assert [line for line in ("birds: 1 picture ", "far1: 2 pictures") if line in said] == agree
        assert ("far1 in c: 1 picture " in said) == (other == "c")


def test_a_run_without_a_set_leaves_out_nothing_of_it(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    write_results(Path("e"), [replace(RESULTS[0], detector="E", id_set="fish")], {})
    assert main(["report", lossy[1], "e"]) == 0
    said = capsys.readouterr().out
    assert "birds: 1 picture " in said
    assert "left out different" not in said


def test_a_damaged_file_beside_the_rows_is_named(lossy: list[str], capsys: pytest.CaptureFixture[str]):
    file = Path(lossy[0], "results.json")
    file.write_text("{")
    assert main(["report", f"{lossy[0]}/results.csv"]) == 2
    assert f"{file} is not readable as JSON" in capsys.readouterr().err
    file.unlink()  # then nothing is known but the rows
    assert main(["report", f"{lossy[0]}/results.csv"]) == 0
    assert "left out" not in capsys.readouterr().out
