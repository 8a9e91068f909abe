"""`predict` on files with odd names: every row is written, and the terminal shows what a file is called."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_line import write_label_set
from shard_files import encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.sheets import csv_rows

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
NAMES = {  # what a file is called -> what the terminal shows
    b"plain.png": "plain.png",
    b"caf\xe9.png": "caf\\udce9.png",
    b"a[copy].png": "a[copy].png",
    b"x[/red]y.png": "x[/red]y.png",
    b"[/x].png": "[/x].png",
    b":smile:.png": ":smile:.png",
    b"=1+1.png": "=1+1.png",
    b"-1.png": "-1.png",
    b"a\x1b[2Jb.png": "a\\x1b[2Jb.png",
    "a\u202egpj.png".encode(): "a\\u202egpj.png",
    b"a\nb.png": "a\\nb.png",
}


@pytest.fixture
def command(config: Any, tmp_path: Path) -> list[str]:
    """A `predict` in the folder of the images, so that the rows hold their bare names."""
    for i, name in enumerate(NAMES):
        path = Path(os.fsdecode(name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded((200, 10 * i, 0), i))
    label_set = write_label_set(tmp_path / "labels.json")
    return ["predict", *config("encoder", "corpus", label_set=label_set, detector=MASS), "--images", "."]


def test_the_table_shows_every_name_as_it_is(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(command) == 0
    output, error = capsys.readouterr()
    assert not {"\x1b", "\u202e"} & set(output + error)
    names = {line.split("   ")[0].strip() for line in output.splitlines()}
    assert set(NAMES.values()) <= names


def test_all_rows_are_written_as_json_and_give_the_names_back(command: list[str]):
    assert main([*command, "--out", "new/rows.jsonl"]) == 0
    rows = [json.loads(line) for line in Path("new/rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {os.fsencode(row["picture"]) for row in rows} == set(NAMES)
    assert all(isinstance(row["score"], float) for row in rows)


def test_all_rows_are_written_as_csv_and_none_is_a_formula(command: list[str]):
    assert main([*command, "--out", "rows.csv"]) == 0
    text = Path("rows.csv").read_bytes().decode()
    rows = csv_rows(text)
    written = {name.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace") for name in NAMES}
    assert {row["picture"].encode() for row in rows} == written
    assert "\r\n'=1+1.png," in text
    assert "\r\n'-1.png," in text
    assert all(not row["score"].startswith("'") for row in rows)
