"""A run's folder whose files are not of one run, or not whole, is never joined in silence."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import said
from result_rows import BOUNDED, RESULTS
from score_tables import set_scores

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.scores import run_of_scores, write_scores
from ood_lightning.report.one_run import check_one_run, unfinished
from ood_lightning.report.stored import read_results, write_results

LABELS = {"format": "ood_lightning/label-set/1", "recipe": {}, "positives": [], "negatives": []}


def write_run(folder: Path, run: str) -> Path:
    """All files of an evaluation, as far as they hold the run's hash."""
    (folder / "labels").mkdir(parents=True)
    stated: dict[str, Any] = {"run": run} if run else {}
    write_results(folder, BOUNDED, stated)
    scores = set_scores("birds", "id", ["a"], torch.zeros(1, 1))
    write_scores(folder / "scores.parquet", ["MCM"], [scores], run)
    (folder / "labels" / "names.json").write_text(json.dumps(LABELS | stated))
    (folder / "DONE").write_text(f"{run}\n" if run else "")
    return folder


FILES = ("results.csv", "scores.parquet", "labels/names.json", "DONE")


@pytest.mark.parametrize("run", ["1a2b", ""])  # older runs have no hash
def test_files_of_one_run_are_joined(tmp_path: Path, run: str, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", run)
    for path in (folder, folder / "results.json", folder / "results.csv"):
        assert main(["report", str(path), "--out", "joined"]) == 0
    assert "DONE" not in capsys.readouterr().out
    assert ("Run " in Path("joined/results.md").read_text()) == bool(run)
    assert main(["report", "joined", "--out", "again"]) == 0


@pytest.mark.parametrize("other", ["3c4d", ""])
@pytest.mark.parametrize("file", FILES)
def test_a_file_of_another_run_is_refused(tmp_path: Path, file: str, other: str, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    shutil.copy(write_run(tmp_path / "other", other) / file, folder / file)
    assert main(["report", str(folder)]) == 2
    message = said(capsys)
    assert file in message
    assert "run 1a2b" in message
    assert (f"run {other}" if other else "a run without a hash") in message


def test_each_file_holds_the_hash(tmp_path: Path):
    folder = write_run(tmp_path / "run", "1a2b")
    assert run_of_scores(folder / "scores.parquet") == "1a2b"
    assert (folder / "results.md").read_text().endswith("\nRun 1a2b.\n")
    for file in ("results.csv", "results.json", "DONE"):
        assert "1a2b" in (folder / file).read_text()


CUTS: dict[str, Callable[[str], str]] = {
    "in the last line": lambda text: text[:-9],
    "at its end": lambda text: text[:-1],
    "a line": lambda text: text[: text[:-1].rindex("\n") + 1],
    "all means": lambda text: text[: text.index(",mean,")].rpartition("\n")[0] + "\n",
    "a set": lambda text: re.sub(r"\nMCM,birds,near2.*", "", text),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_sheet_that_was_cut_is_refused(tmp_path: Path, cut: str, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    sheet = folder / "results.csv"
    sheet.write_text(CUTS[cut](sheet.read_text()))
    assert main(["report", str(sheet)]) == 2
    assert "results.csv" in said(capsys)


def test_rows_of_two_runs_in_one_sheet_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sheet = write_run(tmp_path / "run", "1a2b") / "results.csv"
    sheet.write_text(sheet.read_text().replace("1a2b", "9999", 1))
    assert main(["report", str(sheet)]) == 2
    assert "rows of 2 runs" in said(capsys)


def test_scores_that_were_cut_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    scores = folder / "scores.parquet"
    scores.write_bytes(scores.read_bytes()[:-5])
    for more in ([], ["--convention", "ours"]):
        assert main(["report", str(folder), *more]) == 2
        assert "scores.parquet is no whole file of scores" in said(capsys)


def test_a_folder_that_is_no_longer_done_is_remarked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    (folder / "DONE").unlink()
    assert main(["report", str(folder)]) == 0
    assert "has no file DONE: a later `test`" in capsys.readouterr().out
    assert unfinished(folder / "results.csv") == unfinished(folder)


def test_a_sheet_by_hand_needs_neither_means_nor_a_hash(tmp_path: Path):
    write_results(tmp_path, RESULTS, {})
    sheet = tmp_path / "results.csv"
    sheet.write_text("\n".join(line for line in sheet.read_text().splitlines() if ",mean," not in line) + "\n")
    (tmp_path / "results.json").unlink()
    check_one_run(sheet)
    assert read_results(sheet)[0] == RESULTS


@pytest.mark.parametrize("file", ["results.json", "results.csv"])
def test_a_digit_that_changed_in_one_file_is_refused(tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    text = (folder / file).read_text()
    changed = re.sub(r"0\.\d", lambda digit: "0.1" if digit[0] != "0.1" else "0.2", text, count=1)
    assert changed != text
    (folder / file).write_text(changed)
    assert main(["report", str(folder)]) == 2
    assert "hold other rows" in said(capsys)


def test_a_done_that_is_no_text_is_of_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    (folder / "DONE").write_bytes(b"\xff\xfe")
    assert main(["report", str(folder)]) == 2
    assert r"DONE of run \xff\xfe" in said(capsys)


def test_joined_results_are_not_written_over_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_run(tmp_path / "run", "1a2b")
    before = (folder / "results.json").read_bytes()
    assert main(["report", str(folder), "--out", str(folder)]) == 2
    assert "the folder of a run, by its scores.parquet" in said(capsys)
    assert (folder / "results.json").read_bytes() == before
