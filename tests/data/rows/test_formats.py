"""Rows as CSV, JSON lines and Parquet: every name comes back, whatever it holds."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from picture_folders import HOSTILE

from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.data.rows.formats import as_bytes, header, json_line, spelt, unspelt
from ood_lightning.data.rows.parquet import write_parquet

NAMES = [
    *HOSTILE, "a,b.png", '"', "'", "", "\\", "\\\\", "\\\udcff", r"\x1b", "\x9b2J.png", "\x7f", "\t", "\r", "\r\n",
    "\u2028", "a\u3000b", "\U0001f469\u200d\U0001f467", "\U000e0001", "=1+1", "+", "-", "@", "'=1", "e\u0301", "a\x00b",
]  # fmt: skip
ROWS = [{"path": name, "concepts": ["a", name]} for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_spelling_is_a_plain_line_that_gives_the_name_back(name: str):
    assert spelt(name).isprintable()
    assert unspelt(spelt(name)) == name
    assert spelt(name).encode().decode() == spelt(name)


def test_no_two_names_are_spelt_alike():
    assert len({spelt(name) for name in NAMES}) == len(set(NAMES))


def test_plain_names_are_spelt_as_they_are():
    for name in ("Übung, 1.png", "日本/猫.png", "a'b\".png", "e\u0301.png"):
        assert spelt(name) == name


def test_a_csv_has_a_line_for_each_row():
    text = (header(".csv", list(ROWS[0])) + as_bytes(".csv", ROWS)).decode()
    assert len(text.splitlines()) == len(NAMES) + 1
    assert text.replace("\r\n", "").isprintable()
    assert [unspelt(row["path"]) for row in csv_rows(text)] == NAMES


@pytest.mark.parametrize("ascii_only", [False, True])
def test_json_lines_give_every_text_back(ascii_only: bool):
    lines = [json_line(row, ascii_only=ascii_only) for row in ROWS]
    assert [json.loads(line) for line in lines] == ROWS
    assert all(line.endswith("\n") and line[:-1].isprintable() for line in lines)
    assert all(line.isascii() for line in lines) == ascii_only


def test_parquet_spells_as_csv_does(tmp_path: Path):
    write_parquet(tmp_path / "rows.parquet", io.BytesIO(as_bytes(".parquet", ROWS)), {"path": str, "concepts": list})
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [unspelt(row["path"]) for row in rows] == NAMES
    assert [[unspelt(text) for text in row["concepts"]] for row in rows] == [row["concepts"] for row in ROWS]
