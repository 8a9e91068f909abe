"""A tar's headers: how many samples it holds, and whether it is whole.

The check of the archive's end finds the cuts that the tar format itself passes over in silence.
"""

import hashlib
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from ood_lightning.errors import ShardContentError
from ood_lightning.plurals import many

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")


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


def scanned(path: Path) -> tuple[int, str]:
    """Number of distinct keys with an image, and a hash of the members' names, sizes and times.

    Raises:
        ShardContentError: the archive is damaged or cut, also where the tar format would end early without an error.
    """
    keys = set()
    headers = hashlib.sha256()

    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
            for member in tar:
                headers.update(f"{member.name}\0{member.size}\0{member.mtime}\n".encode("utf-8", "surrogateescape"))
                folder, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if member.isreg() and stem and suffix.lower() in IMAGE_SUFFIXES:
                    keys.add(f"{folder}/{stem}")
            whole = ends_well(tar, raw)
    except tarfile.TarError as error:
        raise ShardContentError(f"{path} is no sound tar: {error}") from None

    if not whole:
        raise ShardContentError(f"{path} is damaged or cut after {many(len(keys), 'sample')}: copy it again")
    return len(keys), headers.hexdigest()


def ends_well(tar: tarfile.TarFile, raw: IO[bytes]) -> bool:
    """Whether a tar is whole; reading one that is cut at a header, or damaged in it, just ends there.

    Args:
        tar: all of whose members have been read.
        raw: the same file.
    """
    raw.seek(tar.offset)
    return raw.read(1024) == bytes(1024)  # a whole archive ends with two blocks of zeros


def last_member(path: Path) -> str | None:
    """Name of the last member whose header can be read, such as that of a member cut short; None if there is none."""
    name = None
    with suppress(tarfile.TarError, OSError), tarfile.open(path, "r:") as tar:
        for member in tar:
            name = member.name
    return name
