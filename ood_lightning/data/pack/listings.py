"""What a source holds: pictures by name, with the class that the source gives each. Nothing is decoded here.

Sources are folders, list files as OpenOOD has them, CSV and TSV; archives and Parquet have files of their own.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import stat_result
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any, NamedTuple, Protocol

from ood_lightning.data.pack.folder import files_below
from ood_lightning.data.shards.decode import MAX_BYTES
from ood_lightning.errors import SourceError
from ood_lightning.plurals import many
from ood_lightning.progress import bar

# what may be a picture by its name; whether it is one that can be stored is for its content to say
IMAGE_ENDINGS = frozenset(
    "jpg jpeg jpe jfif png apng webp gif bmp dib tif tiff ppm pgm pbm pnm jp2 avif heic heif ico svg tga".split()  # noqa: SIM905
)


class Place(Protocol):
    """Where the bytes of one picture lie; plain data, so that another process can read them."""

    def read(self) -> bytes:
        """The encoded picture.

        Raises:
            ValueError, OSError: it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class File:
    """A file of its own."""

    path: str

    def read(self) -> bytes:
        """Its bytes; refused where no picture is that large."""
        with open(self.path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES >> 20} MiB")
        return data


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture that is known not to be readable, such as a link in an archive."""

    why: str

    def read(self) -> bytes:
        """Says why not."""
        raise ValueError(self.why)


class Entry(NamedTuple):
    """One picture of a source.

    Args:
        path: as the source calls it, with `/`.
        place: where its bytes lie.
        stamp: size and time; another one means that the bytes may differ.
        label: class number (-1: none), or name of the class; None: the folders say.
    """

    path: str
    place: Place
    stamp: str
    label: int | str | None = None


@dataclass
class Listing:
    """The pictures of a source, in a fixed order.

    Args:
        entries: sorted by path; a list file keeps its own order.
        class_names: of integer labels, where the source says them.
        passed_over: files that are no pictures by their names, counted by ending.
        unread: columns of a table that nothing is taken from.
        foldered: folders stand for classes.
        origin: what the source stands for, where its name may come to mean something else.
        notes: on that, for `pack.json`.
        fetched: where files lie that were fetched for it, and how large they are.
    """

    entries: list[Entry]
    class_names: tuple[str, ...] = ()
    passed_over: Counter[str] = field(default_factory=Counter)
    unread: tuple[str, ...] = ()
    foldered: bool = False
    origin: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    fetched: str = ""


def named_pictures(names: Iterable[str], passed_over: Counter[str]) -> Iterable[str]:
    """Names that may be pictures; the others are counted."""
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower().lstrip(".") not in IMAGE_ENDINGS:
            passed_over[path.suffix.lower() or "no ending"] += 1
        elif path.name.startswith("._") or "__MACOSX" in path.parts:
            passed_over["resource forks of macOS"] += 1
        else:
            yield name


def folder(path: Path) -> Listing:
    """Pictures below a folder; linked folders are followed, each once."""
    found = Listing([], foldered=True)
    names = (file.relative_to(path).as_posix() for file in files_below(path))
    with bar(
        None, f"list {path.name}", "img", delay_s=2
    ) as progress_bar:  # minutes where a network holds a million files
        for name in named_pictures(names, found.passed_over):
            place, stamp = _file(path / name)
            found.entries.append(Entry(name, place, stamp))
            progress_bar.update()
    found.entries.sort()
    return found


def list_file(path: Path, root: Path) -> Listing:
    """Lines `path label` as in OpenOOD's lists; -1: no class. Paths may hold spaces.

    Raises:
        SourceError: a line is of another form, or leads out of `root`.
    """
    rows = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        try:
            rows.append((number, name.strip(), int(label)))
        except ValueError:
            raise SourceError(f"{path}, line {number}: {line.strip()!r} is not `path label` with an integer") from None
    return _listed(path, root, rows)


def table(path: Path, root: Path) -> Listing:
    """CSV or TSV with a column `path` and, if wanted, `label`: integers, or names of classes.

    Raises:
        SourceError: the columns are missing, a line has others, labels are no whole numbers, or a path leads out of
            `root`.
    """
    lines = _text(path).splitlines(keepends=True)
    reader = csv.reader(lines, delimiter="\t" if path.suffix == ".tsv" else ",", skipinitialspace=True)
    filled = ((reader.line_num, row) for row in _rows(path, reader) if row)  # an empty line is no row
    columns = [name.strip() for name in next(filled, (0, []))[1]]
    if columns.count("path") != 1 or columns.count("label") > 1:
        raise SourceError(
            f"{path} has the columns {', '.join(columns) or 'none'} in its first line: expected path and, if wanted, "
            f"label, once each"
        )
    rows: list[tuple[int, str, str]] = []
    for number, row in filled:
        if len(row) != len(columns):
            raise SourceError(
                f"{path}, line {number}: has {many(len(row), 'value')}, the first line {many(len(columns), 'column')}; "
                f"what holds a separator needs quotes"
            )
        label = row[columns.index("label")].strip() if "label" in columns else "-1"
        rows.append((number, row[columns.index("path")], label))
    found = _listed(path, root, _numbered(path, rows))
    found.unread = tuple(name for name in columns if name not in ("path", "label"))
    return found


def _numbered(path: Path, rows: Sequence[tuple[int, str, str]]) -> Sequence[tuple[int, str, int | str]]:
    """Labels as integers if all are."""
    try:
        return [(number, name, int(label)) for number, name, label in rows]
    except ValueError:
        pass
    for number, _, label in rows:
        if not label:
            raise SourceError(f"{path}, line {number}: has no label")
    if all(re.fullmatch(r"[-+]?\d+(\.\d*)?", label) for _, _, label in rows):  # as names, 10.0 would come before 2.0
        number, label = next((number, label) for number, _, label in rows if "." in label)
        raise SourceError(f"{path}, line {number}: the label {label} is a number but no integer: write integers")
    return rows


def _rows(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SourceError(f"{path}, line {reader.line_num}: {error}") from None


def _listed(path: Path, root: Path, rows: Sequence[tuple[int, str, int | str]]) -> Listing:
    entries = []
    for number, name, label in rows:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts:
            raise SourceError(f"{path}, line {number}: {name!r} does not lie below {root}: give another root")
        place, stamp = _file(root / name)
        entries.append(Entry("/".join(parts), place, stamp, label))
    refused = [entry.place for entry in entries if isinstance(entry.place, Refused)]
    if entries and len(refused) == len(entries):
        raise SourceError(
            f"{path} names {many(len(entries), 'file')} and none can be read, such as {root / entries[0].path}: "
            f"{refused[0].why}. Its paths start from {root}; --root names another folder"
        )
    return Listing(entries)


def _file(path: Path) -> tuple[Place, str]:
    try:
        about = path.stat()
    except OSError as error:
        return Refused(str(error.strerror)), ""
    except ValueError as error:  # a name with a null byte
        return Refused(str(error)), ""
    if not S_ISREG(about.st_mode):
        return Refused("a device, pipe or folder, and no plain file"), ""  # reading a pipe would wait for ever
    return File(str(path)), stamp_of(about)


def stamp_of(about: stat_result) -> str:
    """Size and time of a file, see :class:`Entry`."""
    return f"{about.st_size} {about.st_mtime_ns}"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is no UTF-8: {error.reason} at byte {error.start}") from None
