"""`report --convention`: from stored scores, named in the table, against the plain functions."""

import json
from pathlib import Path

import pytest
import torch
from result_rows import RESULTS, result
from score_tables import stored_table

from ood_lightning.cli.main import main
from ood_lightning.functional.conventions import CONVENTIONS
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import MEAN, single
from ood_lightning.report.conventions import convention_tables
from ood_lightning.report.stored import read_results

pytestmark = pytest.mark.slow  # each begins with a whole `test`

Said = pytest.CaptureFixture[str]


@pytest.fixture
def run(eval_yaml: Path, capsys: Said) -> str:
    assert main(["test", "--config", str(eval_yaml)]) == 0
    capsys.readouterr()
    return "run/eval"


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
def test_every_convention_is_computed_from_stored_scores_and_named(run: str, convention: str, capsys: Said):
    assert main(["report", run, "--convention", convention, "--out", "out"]) == 0
    said = capsys.readouterr().out
    metric, description = CONVENTIONS[convention]
    assert f"ID set id_test: AUROC / FPR95 (%) by the convention '{convention}': {description}" in said
    assert "ID set shifted" in said

    detectors, scores = stored_table(Path(run) / "scores.parquet")
    fprs = [float(metric(scores["id_test"][:, 0], scores[name][:, 0], 0.95)) for name in ("blues", "greys")]
    lines = {line.split()[0]: line.split() for line in said.split("ID set shifted")[0].splitlines() if line.strip()}

    assert detectors == ["MCM", "NegLabel"]
    assert [lines[name][3] for name in ("blues", "greys")] == [f"{100 * fpr:.2f}" for fpr in fprs]
    mean = next(line for line in said.splitlines() if line.split()[:1] == ["mean"] and "/" in line.split()[2])
    assert mean.split()[3] == f"{100 * sum(fprs) / 2:.2f}"
    assert f"'{convention}'" in Path(f"out/results_{convention}.md").read_text()


@pytest.mark.slow
def test_ours_is_what_test_printed(run: str, capsys: Said):
    assert main(["report", run]) == 0
    plain = capsys.readouterr().out
    assert main(["report", run, "--convention", "ours"]) == 0
    ours = capsys.readouterr().out.split("ID set shifted")[0]
    expected = [line for line in plain.splitlines() if line.lstrip().startswith(("blues", "greys")) and "/" in line]
    assert len(expected) == 2
    assert all(line in ours for line in expected)


def test_intervals_and_p_values_follow_from_stored_scores(run: str):
    results, comparisons = read_results(Path(run))
    detectors, scores = stored_table(Path(run) / "scores.parquet")
    assert bootstrap(single(results), scores, detectors) == (results, comparisons)
    assert {r.resamples for r in results} == {1000}
    assert any(r.ood_set == MEAN for r in results)


def test_resamples_can_be_fewer_or_none(eval_yaml: Path, capsys: Said):
    fewer = "--trainer.callbacks.resamples"
    assert main(["test", "--config", str(eval_yaml), fewer, "0"]) == 0
    assert {r.resamples for r in read_results(Path("run/eval"))[0]} == {None}
    assert json.loads(Path("run/eval/results.json").read_text())["about"]["bootstrap"] is None
    assert "bootstrap" not in capsys.readouterr().out
    assert main(["test", "--config", str(eval_yaml), fewer, "20"]) == 0
    assert {r.resamples for r in read_results(Path("run/eval"))[0]} == {20}
    assert main(["test", "--config", str(eval_yaml), fewer, "-1"]) == 2
    assert "resamples is -1" in capsys.readouterr().err


def test_what_cannot_be_shown_is_refused_in_one_line(run: str, capsys: Said):
    assert main(["report", run, "--convention", "stabel"]) == 2
    assert "no convention 'stabel': expected one of ours, stable" in capsys.readouterr().err

    (Path(run) / "results.csv").unlink()  # it would be compared with what follows
    stored = Path(run) / "results.json"
    content = json.loads(stored.read_text())
    for row in content["results"]:
        row["detector"] = row["detector"].replace("MCM", "Other")
    stored.write_text(json.dumps(content))
    assert main(["report", run, "--convention", "stable"]) == 2
    assert "lacks scores of Other on id_test" in capsys.readouterr().err

    for row in content["results"]:
        row["stream"] = True
    stored.write_text(json.dumps(content))
    assert main(["report", run, "--convention", "stable"]) == 2
    assert "all detectors learn from the test stream" in capsys.readouterr().err

    (Path(run) / "scores.parquet").unlink()
    assert main(["report", run, "--convention", "stable"]) == 2
    assert "run `test` first" in capsys.readouterr().err


def test_means_are_over_the_sets_of_their_group():
    metric = CONVENTIONS["rank"][0]
    draw = torch.Generator().manual_seed(4)
    of_pairs = {}
    for row in RESULTS:
        pair = torch.randn(40, generator=draw) + 1, torch.randn(30, generator=draw)
        of_pairs[row.detector, row.id_set, row.ood_set] = float(metric(*pair, 0.95))

    (table,) = convention_tables(RESULTS, of_pairs, "rank")
    fprs = [of_pairs["MCM", "birds", name] for name in ("near1", "near2", "far1")]
    expected = [*fprs, sum(fprs[:2]) / 2, fprs[2], sum(fprs) / 3]
    assert [line[1].split(" / ")[1] for line in table.lines[2:]] == [f"{100 * fpr:.2f}" for fpr in expected]
    assert len({*fprs, expected[3], expected[5]}) == 5
    assert table.note == ""


def test_streams_are_named_and_left_out():
    streamed = result("AdaNeg", "near1", 0.9, stream=True, orders=3)
    fprs = {(row.detector, row.id_set, row.ood_set): 0.5 for row in RESULTS}
    (table,) = convention_tables([streamed, *RESULTS], fprs, "ours")
    assert table.note == "Without AdaNeg: the scores of test streams are not stored."
    assert "AdaNeg" not in str(table.lines)
