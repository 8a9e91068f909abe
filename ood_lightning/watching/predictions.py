"""Predictions over time: which files they lie in, which period each belongs to, and what is read of them."""

import math
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ood_lightning.data.rows.formats import ENDINGS, spelt
from ood_lightning.data.rows.reading import Cells, of_lines, read_rows, texts_of
from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.places import expanded
from ood_lightning.plain_output import one_line

STANDARD = "-"


class Source(NamedTuple):
    """A file of rows, or standard input.

    Attributes:
        name: by which it is known again, `PERIOD/FILE`, spelt on one line; "" for standard input, which is new each
            time.
        period: that its rows belong to where they have no times, spelt on one line.
        path: of the file; None for standard input.
    """

    name: str
    period: str
    path: Path | None


class Prediction(NamedTuple):
    """What is read of a row.

    Attributes:
        where: file and line, for errors.
        path: of the image, spelt on one line.
        score: None where the image could not be read.
        p_value: that `predict` gave; None where it gave none.
        concept: the nearest one, spelt on one line; "" where none is named.
        day: that its `time` names, `2026-11-28`; "" where it has none.
    """

    where: str
    path: str
    score: float | None
    p_value: float | None
    concept: str
    day: str


def sources_of(places: Sequence[str], input_period: str) -> list[Source]:
    """All files of rows, in the order in which they are watched.

    Args:
        places: files; folders, of which each subfolder is a period, and each file one of its own; or `-`.
        input_period: of rows of standard input that have no times.

    Raises:
        SourceError: one of them is not there, or a folder holds no rows.
        SettingsError: two files could not be told apart.
    """
    sources: list[Source] = []
    for one in places:
        if one == STANDARD:
            sources.append(Source("", input_period, None))
            continue

        path = expanded(one)
        if not path.exists():
            raise SourceError(f"{path} does not exist (looked from {Path.cwd()}): name files or folders of rows")
        files = _in_folder(path) if path.is_dir() else [(path.stem, path)]
        if not files:
            raise SourceError(f"{path} holds no rows: expected {', '.join(ENDINGS)} in it, or in a folder for each day")
        sources += [Source(f"{spelt(period)}/{spelt(file.name)}", spelt(period), file) for period, file in files]

    names = [source.name for source in sources]
    if repeated := [name or STANDARD for name in names if names.count(name) > 1]:
        raise SettingsError(f"{repeated[0]} comes twice among the predictions: name each once")
    return sources


def _in_folder(folder: Path) -> list[tuple[str, Path]]:
    """Files of rows with their periods, by the periods' names; what begins with a dot is not finished yet."""
    files = []
    for path in folder.iterdir():
        inside = path.iterdir() if path.is_dir() else [path]
        period = path.name if path.is_dir() else path.stem
        files += [(period, file) for file in inside if file.suffix.lower() in ENDINGS and not file.name.startswith(".")]
    return sorted(files)


def predictions(source: Source) -> Iterator[Prediction]:
    """The rows of a source, in order.

    Raises:
        SettingsError: a row is none of a `predict`, or its day is before that of the row above it; or standard input
            is not in UTF-8.
    """
    rows = (
        read_rows(source.path, SettingsError)
        if source.path is not None
        else of_lines(_standard_input(), "standard input", SettingsError)
    )
    before = ""
    for where, cells in rows:
        one = _prediction(where, cells)
        if one.day < before:
            raise SettingsError(f"{where}: its day is {one.day or 'missing'}, after one of {before}: sort rows by time")
        before = one.day
        yield one


def _standard_input() -> Iterator[str]:
    """Its lines as they come."""
    try:
        yield from sys.stdin
    except UnicodeDecodeError as cause:
        raise SettingsError(
            f"standard input is not in UTF-8 (byte 0x{cause.object[cause.start]:02x}): expected JSON lines"
        ) from None


def _prediction(where: str, cells: Cells) -> Prediction:
    if "score" not in cells:
        raise SettingsError(f"{where} has no column `score`: expected rows that `predict` wrote")
    score, p_value = (_number(cells.get(name), name, where) for name in ("score", "p_value"))
    path, concepts = str(cells.get("path") or ""), texts_of(cells.get("concepts"))
    concept = concepts[0] if concepts else ""
    return Prediction(where, one_line(path), score, p_value, one_line(concept), _day(cells, where))


def _number(cell: Any, name: str, where: str) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        number = float(cell) if isinstance(cell, str | int | float) and not isinstance(cell, bool) else math.nan
    except (ValueError, OverflowError):  # a whole number of JSON may be larger than any float
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{where}: {name} is {str(cell)[:40]!r}, expected a number")
    return number


def _day(cells: Cells, where: str) -> str:
    """The day of a row's `time`, as it is written there, in whichever zone that is."""
    time = cells.get("time")
    if time is None or time == "":
        return ""
    try:
        return (time if isinstance(time, datetime) else datetime.fromisoformat(str(time))).date().isoformat()
    except ValueError:
        raise SettingsError(
            f"{where}: time is {str(time)[:40]!r}, expected ISO 8601, such as 2026-11-28T09:30:00"
        ) from None
