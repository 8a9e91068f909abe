"""Lists of pictures as sources: OpenOOD's text files with lines `path label`, CSV and TSV."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ood_lightning.data.pack.listings import Listing, Refused, file_entry
from ood_lightning.errors import SourceError
from ood_lightning.plurals import many
from ood_lightning.text_files import lines_of, read_text


class Line(NamedTuple):
    """One picture of a list: number of the line, path, and class (-1: none)."""

    number: int
    path: str
    label: int | str


def list_file(path: Path, root: Path) -> Listing:
    """Lines `path label` as in OpenOOD's lists; -1: no class. Paths may hold spaces.

    Raises:
        SourceError: a line is of another form, or leads out of `root`.
    """
    lines = []
    for number, text in enumerate(lines_of(read_text(path, "list", SourceError)), 1):
        name, _, label = text.strip().rpartition(" ")
        try:
            if label:
                lines.append(Line(number, name.strip(), int(label)))
        except ValueError:
            raise SourceError(f"{path}, line {number}: {text.strip()!r} is not `path label` with an integer") from None
    return _listing(path, root, lines)


def table(path: Path, root: Path) -> Listing:
    """CSV or TSV with a column `path` and, if wanted, `label`: integers, or names of classes.

    Raises:
        SourceError: the columns are missing, a line has others, labels are no whole numbers, or a path leads out of
            `root`.
    """
    rows = _rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip() for name in header]
    if columns.count("path") != 1 or columns.count("label") > 1:
        raise SourceError(
            f"{path} has the columns {', '.join(columns) or 'none'} in its first line: expected path and, if wanted, "
            f"label, once each"
        )

    lines = []
    for number, cells in rows:
        if len(cells) != len(columns):
            raise SourceError(
                f"{path}, line {number}: has {many(len(cells), 'value')}, the first line "
                f"{many(len(columns), 'column')}; what holds a separator needs quotes"
            )
        cell = dict(zip(columns, cells, strict=True))
        lines.append(Line(number, cell["path"], cell.get("label", "-1").strip()))

    listing = _listing(path, root, _with_integer_labels(path, lines))
    listing.unread = tuple(name for name in columns if name not in ("path", "label"))
    return listing


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the line and cells of each row that is not empty."""
    text = io.StringIO(read_text(path, "table", SourceError), newline="")  # csv knows which line ends are quoted
    reader = csv.reader(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", skipinitialspace=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise SourceError(f"{path}, line {reader.line_num}: {error}") from None


def _with_integer_labels(path: Path, lines: Sequence[Line]) -> Sequence[Line]:
    """The lines with labels as integers if all are, else with names."""
    try:
        return [line._replace(label=int(line.label)) for line in lines]
    except ValueError:
        pass

    for line in lines:
        if not line.label:
            raise SourceError(f"{path}, line {line.number}: has no label")
    if all(re.fullmatch(r"[-+]?\d+(\.\d*)?", str(line.label)) for line in lines):  # names: 10.0 would precede 2.0
        line = next(line for line in lines if "." in str(line.label))
        raise SourceError(
            f"{path}, line {line.number}: the label {line.label} is a number but no integer: write integers"
        )
    return lines


def _listing(path: Path, root: Path, lines: Sequence[Line]) -> Listing:
    """The lines as entries, whose files lie below `root`."""
    entries = []
    for line in lines:
        where = f"{path}, line {line.number}: {line.path!r}"
        if ".." in PurePosixPath(line.path).parts:
            raise SourceError(f"{where} holds `..`, which may lead anywhere: write the path without it")

        file = root.absolute() / line.path  # a path that is absolute already stays as it is
        if file == root.absolute() or not file.is_relative_to(root.absolute()):
            raise SourceError(f"{where} does not lie below {root.absolute()}: give another root")
        name = file.relative_to(root.absolute()).as_posix()
        entries.append(file_entry(name, root / name, line.label))

    reasons = [entry.location.why for entry in entries if isinstance(entry.location, Refused)]
    if entries and len(reasons) == len(entries):
        raise SourceError(
            f"{path} names {many(len(entries), 'file')} and none can be read, such as {root / entries[0].path}: "
            f"{reasons[0]}. Its paths start from {root}; --root names another folder"
        )
    return Listing(entries)
