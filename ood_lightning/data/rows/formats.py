"""Rows as bytes: CSV and JSON lines, which grow row by row; a Parquet file is made of JSON lines at the end.

Names of files come back exactly, whatever they hold: from JSON by any reader, from CSV and Parquet by :func:`unspelt`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.plain_output import one_line

ENDINGS = (".csv", ".jsonl", ".parquet")
BETWEEN = "|"  # texts of a list in one cell of a CSV

Row = Mapping[str, Any]  # by column: a text, a number, True or False, None, or a list of texts; the same keys in all


def header(ending: str, columns: Sequence[str]) -> bytes:
    """What stands before the first row."""
    return csv_bytes([columns]) if ending == ".csv" else b""


def as_bytes(ending: str, rows: Sequence[Row]) -> bytes:
    """Rows in the form that a file of this ending grows by; texts of a CSV are :func:`spelt`."""
    if ending == ".csv":
        return csv_bytes([_cell(value) for value in row.values()] for row in rows)
    return "".join(json_line(row) for row in rows).encode()


def json_line(row: Row, *, ascii_only: bool = False) -> str:
    r"""A row as a line of JSON, in which nothing acts on a terminal; readers get every text back as it is.

    A byte of a file name that is no UTF-8 is written as `\udce9`, which Python reads as it spells such bytes itself.
    """
    text = json.dumps(row, ensure_ascii=ascii_only, allow_nan=False)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _json_escape(c) for c in text)
    return text + "\n"


def _json_escape(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def spelt(text: str) -> str:
    r"""A text of one line that UTF-8 can hold and that does nothing to a terminal; no two texts are spelt alike.

    Control and format characters, and bytes of file names that are no UTF-8, are spelt as Python spells them, and a
    backslash of the text's own is doubled.

    Example:
        >>> spelt("a\nb.png"), spelt("caf\udce9.png"), spelt(r"a\nb.png"), spelt("Übung, 1.png")
        ('a\\nb.png', 'caf\\udce9.png', 'a\\\\nb.png', 'Übung, 1.png')
    """
    return one_line(text.replace("\\", "\\\\"))


def unspelt(text: str) -> str:
    r"""The inverse of :func:`spelt`, such as the name of a file, which `open` takes.

    A text that is no spelling, such as a path of Windows that another program wrote, is returned as it is.

    Example:
        >>> unspelt(spelt("caf\udce9 \\ 日本.png")) == "caf\udce9 \\ 日本.png"
        True
        >>> unspelt(r"C:\x.png")
        'C:\\x.png'
    """
    try:
        return text.encode("ascii", "backslashreplace").decode("unicode_escape")
    except UnicodeDecodeError:
        return text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return spelt(value)
    return BETWEEN.join(map(spelt, value)) if isinstance(value, list | tuple) else value
