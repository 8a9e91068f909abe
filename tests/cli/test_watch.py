"""`watch` in-process: what is printed and written, what the status says, and one line for what is wrong."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from carried import world
from watched import SCORES, rows, write_lines

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.cli.main import main
from ood_lightning.detector_folder.save import save_detector
from ood_lightning.detectors.label_mass import LabelMass


@pytest.fixture
def detector(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    calibration = Calibration(SCORES, n_images=len(SCORES), source="held-out images")
    made = world(tiny_model, tmp_path, negatives=("cat", "horse")).made
    return save_detector(tmp_path / "detector", LabelMass(), made, calibration=calibration)


@pytest.fixture
def days(tmp_path: Path) -> Path:
    for number, n_strange in enumerate((0, 0, 150), start=1):
        write_lines(tmp_path / "days" / f"2026-11-0{number}" / "rows.jsonl", rows(300, number, n_strange))
    return tmp_path / "days"


def test_watch_says_when_the_line_was_crossed_and_what_grew(
    detector: Path, days: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["watch", str(days), "--detector", "detector", "--state", "state.json"]
    assert main([*command, "--fdr", "0.1", "--out", "found.csv"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "alarm line: 100. Where nothing has changed, the chance that it is ever crossed is 1 % at most" in output
    assert "ALARM: the line was crossed at picture 6" in output
    assert ", in 2026-11-03 (3/" in output
    assert "2026-11-03 against 2 periods before it: " in output
    assert "fish grew 0.0 % 50.0 % +50.0 % (" in output
    assert "pictures called OOD; of these 10 % at most are not, on average" in output
    assert "called OOD (FDR 10 %)" in output
    assert Path("found.csv").read_bytes().startswith(b"period,path,p_value,adjusted\r\n2026-11-03,3/")

    assert main([*command, "--fdr", "0.1", "--out", "none.parquet", "--exit-code"]) == 3  # which stays
    assert pq.read_table("none.parquet").num_rows == 0  # nothing is watched twice
    assert "ALARM" in capsys.readouterr().out
    assert main(["watch", str(days / "2026-11-01"), "--detector", "detector", "--state", "a.json", "--exit-code"]) == 0
    assert "no alarm after 300 pictures: the martingale is" in capsys.readouterr().out


def test_a_day_after_the_other_ends_in_the_file_of_all_at_once(detector: Path, days: Path):
    options = ["--detector", "detector", "--state"]
    assert main(["watch", str(days), *options, "all.json"]) == 0
    later = days.rename(days.with_name("later"))
    days.mkdir()
    for day in sorted(later.iterdir()):
        day.rename(days / day.name)
        assert main(["watch", str(days), *options, "daily.json"]) == 0
    assert Path("daily.json").read_bytes() == Path("all.json").read_bytes()


def test_rows_come_from_standard_input_too(
    detector: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(row) + "\n" for row in rows(40, seed=1))))
    assert main(["watch", "-", "--detector", "detector", "--state", "state.json"]) == 0
    assert "no alarm after 40 pictures" in capsys.readouterr().out


def test_hostile_names_do_nothing_to_the_terminal(detector: Path, capsys: pytest.CaptureFixture[str]):
    predicted = rows(300, seed=1, n_strange=250)
    for row in predicted:
        row |= {"path": "\x1b[2J\u202e\n" + row["path"], "concepts": ["\x1b[31mfish"]}
    write_lines(Path("rows.jsonl"), predicted)
    assert main(["watch", "rows.jsonl", "--detector", "detector", "--state", "state.json", "--fdr", "0.2"]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert r"(\x1b[2J\u202e\n1/" in output


def test_what_was_watched_before_a_bad_row_is_reported_since_it_is_not_watched_again(
    detector: Path, days: Path, capsys: pytest.CaptureFixture[str]
):
    bad = rows(300, seed=9)
    bad[280]["score"] = "high"
    write_lines(days / "2026-11-04" / "rows.jsonl", bad)
    command = ["watch", str(days), "--detector", "detector", "--state", "state.json", "--fdr", "0.1", "--out"]
    assert main([*command, "found.csv"]) == 2
    printed = capsys.readouterr()
    assert "line 281: score is 'high', expected a number" in printed.err
    assert "ALARM: the line was crossed" in printed.out
    assert "2026-11-03,3/" in Path("found.csv").read_text()
    assert json.loads(Path("state.json").read_text())["periods"][-1]["images"] == 256

    bad[280] = rows(1, seed=10)[0]
    write_lines(days / "2026-11-04" / "rows.jsonl", bad)
    assert main([*command, "rest.csv"]) == 0
    assert "2026-11-03" not in Path("rest.csv").read_text()
    assert json.loads(Path("state.json").read_text())["periods"][-1]["images"] == 300


def test_hostile_names_of_days_are_kept_and_come_back(detector: Path, capsys: pytest.CaptureFixture[str]):
    names = [os.fsdecode(name) for name in (b"caf\xe9\x1b[2J", rb"a\x")]
    for seed, name in enumerate(names, start=2):
        predicted = rows(150, seed, n_strange=100)
        for row in predicted:
            row["path"] = "C:\\x.png"
        write_lines(Path("days") / f"{name}.jsonl", predicted)
    command = ["watch", "days", "--detector", "detector", "--state", "state.json", "--fdr", "0.2", "--out", "o.jsonl"]
    assert main(command) == 0
    assert "\x1b" not in capsys.readouterr().out
    called = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert {(one["period"], one["path"]) for one in called} == {(name, "C:\\x.png") for name in names}


def test_what_is_wrong_is_one_line(detector: Path, days: Path, refused: Callable[..., None]):
    command = ["watch", str(days), "--detector", "detector", "--state", "state.json"]
    refused([*command, "--false_alarms", "5"], r"false_alarms is 5\.0: expected a share between 0 and 1: 0\.05, not 5")
    refused([*command, "--fdr", "0"], r"fdr is 0\.0: expected a share")
    refused([*command, "--out", "x.csv"], "name a false discovery rate")
    refused([*command[:-1], "state.txt"], r"state is 'state\.txt': expected a name ending in \.json")
    day = str(days / "2026-11-01" / "rows.jsonl")
    refused(["watch", day, *command[2:], "--fdr", "0.1", "--out", day], "which is one of the predictions")
    refused(["watch", "none", *command[2:]], "none does not exist")

    Path("empty.jsonl").touch()
    refused(["watch", "empty.jsonl", *command[2:-1], "new.json"], "the predictions hold no picture with a score")

    (detector / "calibration.json").unlink()
    refused(command, r"calibration\.json is missing")
    assert not Path("state.json").exists()


def test_a_detector_without_a_calibration_is_refused(
    tiny_model: Path, tmp_path: Path, days: Path, refused: Callable[..., None]
):
    made = world(tiny_model, tmp_path, negatives=("cat", "horse")).made
    save_detector(tmp_path / "bare", LabelMass(), made)
    bare = os.fspath(tmp_path / "bare")
    refused(
        ["watch", str(days), "--detector", bare, "--state", str(tmp_path / "s.json")], "bare has no calibration: `ca"
    )
