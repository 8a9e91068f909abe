"""One table over several people's results of an item. Needs torch for the words of a rule of FPR95 alone."""

from collections.abc import Sequence
from pathlib import Path

from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.errors import SettingsError
from ood_lightning.report.stored import read_sheet
from ood_lightning.report.tables import Table, paragraphs
from ood_lightning.reproduction.record import Record, read
from ood_lightning.reproduction.tables import heading

Key = tuple[str, str, str, str]  # panel, row, column, measure
SAME = {  # what has to be equal, and what a difference means
    "item": "they are results of other items",
    "kind": "a twin on built-in drawings is no result of the paper's experiment",
    "item_hash": "the item's file was changed between them, so they may follow other protocols",
    "conventions": "their FPR95 follow other rules",
}


def collected(folders: Sequence[Path]) -> tuple[str, bytes]:
    """The table as Markdown and as CSV: a line for each number, a column for each folder.

    Args:
        folders: of results, two or more.

    Raises:
        SettingsError: there are fewer, or they cannot stand in one table; says why.
        SourceError: a folder has no result.
    """
    if len(folders) < 2:
        raise SettingsError(f"{len(folders)} folder given: a table over people's results needs two or more")
    records = [read(folder) for folder in folders]
    for folder, record in zip(folders[1:], records[1:], strict=True):
        _check_same(records[0], record, folders[0], folder)

    names = _names(folders)
    sheets = [_numbers(folder) for folder in folders]
    keys = list(dict.fromkeys(key for sheet in sheets for key in sheet))
    lines = [["row", "column", "measure", "published", *names]]
    cells: list[list[object]] = [["panel", "row", "column", "measure", "published", *names]]
    for key in keys:
        rows = [sheet.get(key, {}) for sheet in sheets]
        published = next((row["published"] for row in rows if row.get("published")), "")
        lines.append([key[1], key[2], heading(key[3]), published, *map(_shown, rows)])
        cells.append([*key, published, *(row.get("ours", "") for row in rows)])

    table = paragraphs(Table(f"{records[0].item}, {records[0].kind}", lines, "\n".join(_remarks(records, names))))
    return table + "\n", csv_bytes(cells, "\n")


def _check_same(first: Record, other: Record, of_first: Path, of_other: Path) -> None:
    for key, meaning in SAME.items():
        if (a := getattr(first, key)) != (b := getattr(other, key)):
            raise SettingsError(f"{of_first} has {key} {a}, {of_other} has {b}: {meaning}")
    if first.sets.keys() != other.sets.keys():
        differing = sorted(first.sets.keys() ^ other.sets.keys())
        raise SettingsError(f"{of_first} and {of_other} were scored on other sets: {', '.join(differing)}")


def _names(folders: Sequence[Path]) -> list[str]:
    """What tells the folders apart: their own names, or their paths where these are equal."""
    short = [folder.name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _numbers(folder: Path) -> dict[Key, dict[str, str]]:
    rows = read_sheet(folder / "result.csv")
    return {(row["panel"], row["row"], row["column"], row["measure"]): row for row in rows}


def _shown(row: dict[str, str]) -> str:
    if not row.get("ours"):
        return "not run"
    interval = f" [{float(row['low']):.2f}, {float(row['high']):.2f}]" if row["low"] and row["high"] else ""
    return f"{float(row['ours']):.2f}{interval}"


def _remarks(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    """What the results share, and what differs without being another protocol."""
    remarks = [f"FPR95 by: {', '.join(records[0].conventions)}."] if records[0].conventions else []
    for key, what in (("sets", "set"), ("encoders", "encoder"), ("versions", "version of"), ("devices", "devices")):
        of_all = [getattr(record, key) for record in records]
        if isinstance(of_all[0], dict):
            differing = [name for name in of_all[0] if len({one.get(name) for one in of_all}) > 1]
            remarks += [f"Differs: {what} {name}." for name in differing]
        elif len({tuple(one) for one in of_all}) > 1:
            of_each = "; ".join(f"{name}: {', '.join(one)}" for name, one in zip(names, of_all, strict=True))
            remarks.append(f"Differs: {what} ({of_each}).")
    return remarks
