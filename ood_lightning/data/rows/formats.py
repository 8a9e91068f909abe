"""Rows as bytes: CSV and JSON lines, which grow row by row; a Parquet file is made of JSON lines at the end."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.data.artifacts.sheets import csv_bytes

ENDINGS = (".csv", ".jsonl", ".parquet")
BETWEEN = "|"  # texts of a list in one cell of a CSV

Row = Mapping[str, Any]  # by column: a text, a number, True or False, None, or a list of texts; the same keys in all


def header(ending: str, columns: Sequence[str]) -> bytes:
    """What stands before the first row."""
    return csv_bytes([columns]) if ending == ".csv" else b""


def as_bytes(ending: str, rows: Sequence[Row]) -> bytes:
    r"""Rows in the form that a file of this ending grows by.

    A byte of a file name that is no UTF-8 is spelt out: in JSON as JSON spells it, so that readers get the name back,
    in CSV as `\udce9`.
    """
    if ending == ".csv":
        return csv_bytes([_cell(value) for value in row.values()] for row in rows)
    return "".join(json_line(row) for row in rows).encode("utf-8", "backslashreplace")


def json_line(row: Row, *, ascii_only: bool = False) -> str:
    """A row as a line of JSON; in ASCII nothing in it acts on a terminal."""
    text = json.dumps(row, ensure_ascii=ascii_only, allow_nan=False) + "\n"
    return text.replace("\x7f", "\\u007f") if ascii_only else text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return BETWEEN.join(value) if isinstance(value, list | tuple) else value
