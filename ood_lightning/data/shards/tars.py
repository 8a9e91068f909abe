"""A tar's headers: which samples it holds, where they lie, and whether it is whole. Needs no torch.

Members are grouped as webdataset does. The check of the archive's end finds the cuts that the tar format itself passes
over in silence.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ood_lightning.errors import ShardContentError
from ood_lightning.plurals import many

MAX_CLASS = 2**63 - 1  # that a tensor holds
IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")

# as webdataset splits them: a key ends at the first dot of the file's name; `__...__` are its own notes
_MEMBER_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", flags=re.DOTALL)
_NOTE_NAME = re.compile(r"__[^/]*__($|/)")


class Slice(NamedTuple):
    """Bytes within a file, such as a member of a tar."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Those bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise ValueError("the archive ends within it")
        return data


class Located(NamedTuple):
    """One sample: its key, and where picture, class and `.json` lie."""

    key: str
    suffix: str
    picture: Slice
    label: Slice | None
    metadata: Slice | None


def tar_members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Members of an uncompressed tar, in order; those before a damage come first.

    Raises:
        tarfile.TarError: it is damaged or cut, also where the tar format would end early without an error.
    """
    with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
        yield from tar

        raw.seek(tar.offset)
        if raw.read(1024) != bytes(1024):  # a whole archive ends with two blocks of zeros
            raise tarfile.ReadError(f"damaged or cut after {many(len(tar.getmembers()), 'member')}, copy it again")


def scanned(path: Path) -> tuple[int, str]:
    """Number of distinct keys with an image, and a hash of the members' names, sizes and times.

    Raises:
        ShardContentError: the archive is damaged or cut, also where the tar format would end early without an error.
    """
    keys = set()
    headers = hashlib.sha256()
    try:
        for member in tar_members(path):
            headers.update(f"{member.name}\0{member.size}\0{member.mtime}\n".encode("utf-8", "surrogateescape"))
            name = _MEMBER_NAME.fullmatch(member.name)
            if member.isreg() and name and name[2].lower() in IMAGE_SUFFIXES:
                keys.add(name[1])
    except tarfile.TarError as error:
        raise ShardContentError(f"{path} is no sound tar: {error}") from None
    return len(keys), headers.hexdigest()


def located(path: Path) -> Iterator[Located]:
    """Samples of a tar that hold an image, in order; those before a damage come first.

    Raises:
        ShardContentError: the tar is damaged or cut, also where the format would end early without an error.
    """
    key = ""
    members: dict[str, Slice] = {}  # of the key, by ending
    try:
        for member in tar_members(path):
            name = _MEMBER_NAME.fullmatch(member.name)
            if not member.isreg() or name is None or _NOTE_NAME.match(member.name):
                continue

            if name[1] != key:
                yield from _sample(key, members)
                key, members = name[1], {}
            members[name[2].lower()] = Slice(str(path), member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        yield from _sample(key, members)
        raise ShardContentError(f"is no sound tar: {error}") from None
    yield from _sample(key, members)


def class_number(text: bytes) -> int:
    """The content of a `.cls`: the number of a class, or -1 for none.

    Raises:
        ValueError: it is something else, or a number that no tensor holds.
    """
    if re.fullmatch(rb"\s*(-1|\d{1,19})\s*", text) and int(text) <= MAX_CLASS:
        return int(text)
    raise ValueError(f"its .cls is {text[:20]!r}: expected an integer from 0 to {MAX_CLASS}, or -1 for no class")


def label_of(image: Located) -> int:
    """The class of an image, -1 where it has none.

    Raises:
        ValueError, OSError: it cannot be read.
    """
    return class_number(image.label.read()) if image.label is not None else -1


def _sample(key: str, members: dict[str, Slice]) -> Iterator[Located]:
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in members), None)
    if suffix is not None:
        yield Located(key, suffix, members[suffix], members.get("cls"), members.get("json"))


def last_member(path: Path) -> str | None:
    """Name of the last member whose header can be read, such as that of a member cut short; None if there is none."""
    name = None
    with suppress(tarfile.TarError, OSError):
        for member in tar_members(path):
            name = member.name
    return name
