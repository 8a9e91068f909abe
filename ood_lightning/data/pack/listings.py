"""What a source holds: images by name, where their bytes lie, and the class that the source gives each.

Nothing is decoded here. Each kind of source has a reader in a file of its own: `folder`, `list_files`, `archives`,
`parquet`, `hub`.
"""

from collections import Counter
from dataclasses import dataclass, field
from os import stat_result
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple, Protocol

from ood_lightning.data.shards.formats import MAX_BYTES

TOO_LARGE = f"larger than {MAX_BYTES >> 20} MiB"


class Location(Protocol):
    """Where the bytes of one image lie; plain data, so that another process can read them.

    Its `repr` is part of the fingerprint of a shard: another one means that the shard is made again.
    """

    def read(self) -> bytes:
        """The encoded image.

        Raises:
            ValueError, OSError: it cannot be read.
        """


class File(NamedTuple):
    """A file of its own."""

    path: str

    def read(self) -> bytes:
        """Its bytes; refused where no image is that large."""
        with open(self.path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(TOO_LARGE)
        return data


class Refused(NamedTuple):
    """An image that is known not to be readable, such as a link in an archive."""

    why: str

    def read(self) -> bytes:
        """Says why not."""
        raise ValueError(self.why)


class Entry(NamedTuple):
    """One image of a source.

    Attributes:
        path: as the source calls it, with `/`.
        location: where its bytes lie.
        stamp: size and time; another one means that the bytes may differ.
        label: class number (-1: none), or name of the class; None: the folders say.
    """

    path: str
    location: Location
    stamp: str
    label: int | str | None = None


@dataclass
class Listing:
    """The images of a source, in a fixed order.

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


def file_entry(name: str, path: Path, label: int | str | None = None) -> Entry:
    """The entry of a file, also of one that cannot be read: that is said when it is packed."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # a ValueError: a name with a null byte
        return Entry(name, Refused(getattr(error, "strerror", str(error))), "", label)

    if not S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        return Entry(name, Refused("a device, pipe or folder, and no plain file"), "", label)
    return Entry(name, File(str(path)), stamp_of(status), label)


def stamp_of(status: stat_result) -> str:
    """Size and time of a file, see :class:`Entry`."""
    return f"{status.st_size} {status.st_mtime_ns}"
