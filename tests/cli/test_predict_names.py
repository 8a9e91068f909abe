"""`predict` on files with odd names: every row is written, and the terminal shows what a file is called."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_line import detector_folder, write_label_set
from shard_files import encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.data.rows.formats import unspelt

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
NAMES = {  # what a file is called -> what the terminal shows
    b"plain.png": "plain.png",
    b"caf\xe9.png": "caf\\udce9.png",
    b"caf\\udce9.png": "caf\\udce9.png",
    b"a\\nb.png": "a\\nb.png",
    b"one, \"two\" 'three'.png": "one, \"two\" 'three'.png",
    "été.png".encode(): "été.png",
    b"a[copy].png": "a[copy].png",
    b"x[/red]y.png": "x[/red]y.png",
    b"[/x].png": "[/x].png",
    b":smile:.png": ":smile:.png",
    b"=1+1.png": "=1+1.png",
    b"-1.png": "-1.png",
    b"$HOME.png": "$HOME.png",
    b"a\x1b[2Jb.png": "a\\x1b[2Jb.png",
    "a\u202egpj.png".encode(): "a\\u202egpj.png",
    b"a\nb.png": "a\\nb.png",
    b"\x7f.png": "\\x7f.png",
}
ACTIVE = {"\x1b", "\x7f", "\u202e"}  # what a terminal would not show but do


@pytest.fixture
def command(config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A `predict` in the folder of the images."""
    (tmp_path / "odd").mkdir()
    for i, name in enumerate(NAMES):
        path = tmp_path / "odd" / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded((200, 10 * i, 0), i))
    label_set = write_label_set(tmp_path / "labels.json")
    folder = detector_folder(config("encoder", "corpus", label_set=label_set, score=MASS))
    monkeypatch.chdir(tmp_path / "odd")
    return ["predict", ".", folder[0], f"../{folder[1]}", "--num_workers", "1", "--batch_size", "3"]


@pytest.mark.slow
def test_the_summary_shows_names_as_they_are(command: list[str], capsys: pytest.CaptureFixture[str]):
    in_output = set[str]()
    for name in NAMES:
        path = f"./{os.fsdecode(name)}"
        assert main([command[0], path, *command[2:]]) == 0
        output, error = capsys.readouterr()
        assert not ACTIVE & set(output + error)
        in_output |= {line.split("   ")[0].strip().removeprefix("./") for line in output.splitlines()}
    assert set(NAMES.values()) <= in_output


def test_names_that_cannot_be_read_are_shown_as_they_are(command: list[str], capsys: pytest.CaptureFixture[str]):
    Path("plain.png").rename("z.png")
    for name in NAMES:
        Path(os.fsdecode(name)).write_bytes(b"broken")
    assert main(command) == 1
    output, error = capsys.readouterr()
    assert not ACTIVE & set(output + error)
    assert "-1.png: cannot be read" in output


def test_all_rows_are_written_as_json_and_give_the_names_back(command: list[str]):
    assert main([*command, "--out", "../new/rows.jsonl"]) == 0
    text = Path("../new/rows.jsonl").read_text(encoding="utf-8")
    assert not ACTIVE & set(text)
    rows = [json.loads(line) for line in text.splitlines()]
    assert {os.fsencode(row["path"]) for row in rows} == set(NAMES)
    assert all(isinstance(row["score"], float) for row in rows)
    assert "été.png" in text


def test_rows_on_standard_output_are_ascii_and_give_the_names_back(
    command: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main([*command, "--out", "-"]) == 0
    output = capsys.readouterr().out
    assert output.isascii()
    assert not {"\x1b", "\x7f"} & set(output)
    rows = [json.loads(line) for line in output.splitlines()]
    assert {os.fsencode(row["path"]) for row in rows} == set(NAMES)


def test_all_rows_are_written_as_csv_and_none_is_a_formula(command: list[str]):
    assert main([*command, "--out", "../rows.csv"]) == 0
    text = Path("../rows.csv").read_bytes().decode()
    rows = csv_rows(text)
    assert {os.fsencode(unspelt(row["path"])) for row in rows} == set(NAMES)
    assert not ACTIVE & set(text)
    assert len(text.splitlines()) == len(NAMES) + 1  # a row is a line, whatever its name holds
    assert "\r\ncaf\\udce9.png," in text
    assert "\r\ncaf\\\\udce9.png," in text
    assert "\r\nété.png," in text
    assert "\r\n'=1+1.png," in text
    assert "\r\n'-1.png," in text
    assert all(not row["score"].startswith("'") for row in rows)


def test_all_rows_are_written_as_parquet(command: list[str]):
    assert main([*command, "--out", "../rows.parquet"]) == 0
    paths = pq.read_table("../rows.parquet")["path"].to_pylist()
    assert {os.fsencode(unspelt(path)) for path in paths} == set(NAMES)
    assert len(paths) == len(NAMES)


@pytest.mark.slow
def test_names_come_back_from_an_interrupted_run(command: list[str], monkeypatch: pytest.MonkeyPatch):
    from ood_lightning.data.rows.growing_file import GrowingFile

    append = GrowingFile.append

    def interrupted(self: GrowingFile, *args: Any) -> None:
        append(self, *args)
        if self.journal.images == 9:
            raise KeyboardInterrupt

    assert main([*command, "--out", "../expected.csv"]) == 0
    with monkeypatch.context() as patched:
        patched.setattr(GrowingFile, "append", interrupted)
        assert main([*command, "--out", "../rows.csv"]) == 130
    assert main([*command, "--out", "../rows.csv"]) == 0
    assert Path("../rows.csv").read_bytes() == Path("../expected.csv").read_bytes()
