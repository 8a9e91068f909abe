"""Rows that `predict` or another program wrote, read one by one: CSV, JSON lines and Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.sheets import from_cell
from ood_lightning.data.rows.formats import BETWEEN, spelt
from ood_lightning.errors import UserError

Cells = dict[str, Any]  # texts as `spelt`; of a CSV every cell is a text, and a list's texts stand in one


def read_rows(path: Path, error: Callable[[str], UserError]) -> Iterator[tuple[str, Cells]]:
    """All rows of a file, each with where it stands, in constant memory.

    Args:
        path: of the file; its ending says what it is.
        error: makes the error from its text, usually the error's class.

    Raises:
        UserError: what `error` makes; the file cannot be read, or is not what its ending says.
    """
    try:
        if path.suffix.lower() == ".parquet":
            yield from _of_parquet(path, error)
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (_of_csv if path.suffix.lower() == ".csv" else of_lines)(file, str(path), error)
    except OSError as cause:
        if isinstance(cause, UserError):
            raise
        raise error(f"{path} cannot be read: {cause.strerror}") from None
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not in UTF-8 (byte 0x{cause.object[cause.start]:02x}): save it so") from None


def of_lines(lines: Iterable[str], where: str, error: Callable[[str], UserError]) -> Iterator[tuple[str, Cells]]:
    """Rows of JSON lines; empty lines are passed over.

    Args:
        lines: of the file, or as they come.
        where: the file's name, for errors.
        error: makes the error from its text.

    Raises:
        UserError: what `error` makes; a line is no JSON object.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        line_name = f"{where}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as cause:
            raise error(f"{line_name} is not readable as JSON: {cause}") from None
        if not isinstance(row, dict):
            raise error(f"{line_name} is no row: expected an object, such as `predict` writes")
        yield line_name, {key: _spelt(value) for key, value in row.items()}


def texts_of(cell: Any) -> list[str]:
    """The texts of a list's cell, of any of the three forms."""
    if isinstance(cell, str):
        return cell.split(BETWEEN) if cell else []
    return [one for one in cell if isinstance(one, str)] if isinstance(cell, list) else []


def _of_csv(file: Iterable[str], where: str, error: Callable[[str], UserError]) -> Iterator[tuple[str, Cells]]:
    rows = csv.reader(file, strict=True)
    try:
        columns = next(rows, [])
        for number, row in enumerate(rows, start=2):
            if len(row) != len(columns):
                raise error(f"{where}, row {number} has {len(row)} cells, its header {len(columns)}: was it cut?")
            yield f"{where}, row {number}", dict(zip(columns, map(from_cell, row), strict=True))
    except csv.Error as cause:
        raise error(f"{where} is not readable as CSV: {cause}") from None


def _of_parquet(path: Path, error: Callable[[str], UserError]) -> Iterator[tuple[str, Cells]]:
    from ood_lightning.data.rows.parquet import read_parquet

    for number, row in enumerate(read_parquet(path, error), start=1):
        yield f"{path}, row {number}", row


def _spelt(value: Any) -> Any:
    if isinstance(value, str):
        return spelt(value)
    return [_spelt(one) for one in value] if isinstance(value, list) else value
