"""`report`: several runs in one table, and how their detectors are told apart."""

from pathlib import Path

import pytest
from result_rows import BOUNDED, COMPARED, RESULTS, changed

from ood_lightning.cli.main import main
from ood_lightning.metrics.results import means
from ood_lightning.report.stored import read_results, write_results


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs of one detector name, in folders of one name."""
    write_results(tmp_path / "a" / "eval", BOUNDED[:3], {}, COMPARED)
    write_results(tmp_path / "b" / "eval", [changed(r, "auroc", value=0.6) for r in RESULTS[:3]], {})
    write_results(tmp_path / "c", RESULTS[3:], {})
    return [str(tmp_path / name) for name in ("a/eval", "b/eval", "c")]


def test_report_joins_runs_into_one_table(runs: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", runs[0], runs[2], "--out", "joined"]) == 0
    assert "joined results" in capsys.readouterr().out
    joined = [*BOUNDED[:3], *RESULTS[3:]]
    assert read_results(Path("joined")) == ([*joined, *means(joined)], COMPARED)
    assert "| ClusterMine | id_images | 85.00 | 15.00 | 11.10 |" in Path("joined/results.md").read_text()


def test_runs_whose_detectors_clash_are_told_apart(runs: list[str]):
    assert main(["report", runs[0], runs[2], f"{runs[0]}/results.csv", "--out", "once"]) == 0
    assert {r.detector for r in read_results(Path("once"))[0]} == {"eval: MCM", "c: ClusterMine"}
    assert main(["report", runs[0], runs[1], "--out", "paths"]) == 0
    assert {r.detector for r in read_results(Path("paths"))[0]} == {f"{run}: MCM" for run in runs[:2]}
    assert main(["report", runs[0], runs[1], "--names", '["one", "two"]', "--out", "named"]) == 0
    assert {r.detector for r in read_results(Path("named"))[0]} == {"one: MCM", "two: MCM"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["none"], "there is no none"),
        (["{a}", "--names", '["x", "y"]'], "2 names for 1 runs"),
        (["{a}", "{b}", "--names", '["x", "x"]'], "two different results for 'near1'"),
    ],
)
def test_report_refuses_in_one_line(runs: list[str], argv: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["report", *(part.format(a=runs[0], b=runs[1]) for part in argv)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1
