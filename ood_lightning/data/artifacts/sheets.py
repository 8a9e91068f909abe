"""CSV files whose texts no spreadsheet takes for formulas."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

# An apostrophe makes a spreadsheet take the rest of a cell as text. A text that begins like a guarded one gets another,
# so that reading takes off exactly what writing put there.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def as_cell(value: object) -> object:
    """A text that begins as a formula does, behind an apostrophe; numbers and other texts as they are.

    Example:
        >>> as_cell("=1+1"), as_cell(-0.5), as_cell("'tis")
        ("'=1+1", -0.5, "'tis")
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def from_cell(text: str) -> str:
    """The inverse of :func:`as_cell` for texts.

    Example:
        >>> from_cell("'=1+1"), from_cell("'tis"), from_cell("-0.5")
        ('=1+1', "'tis", '-0.5')
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_bytes(rows: Iterable[Iterable[object]], line_end: str = "\r\n") -> bytes:
    r"""Rows as CSV, the header first.

    Bytes of file names that are no UTF-8 are spelt out, as `\udce9`.
    """
    text = "".join(_line(row) + line_end for row in rows)
    return text.encode("utf-8", "backslashreplace")


def _line(row: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([as_cell(value) for value in row])  # with another end of line it would not quote "\r"
    return line.getvalue().removesuffix("\r\n")


def csv_rows(text: str) -> list[dict[Any, Any]]:
    """Rows of a CSV by the names of its header, as :class:`csv.DictReader` gives them, without the apostrophes.

    Raises:
        ValueError: the text is no CSV.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [{_plain(column): _plain(cell) for column, cell in row.items()} for row in rows]


def _plain(cell: Any) -> Any:
    """A cell's text; what stands for cells that a row lacks, or has too many, stays."""
    return from_cell(cell) if isinstance(cell, str) else cell
