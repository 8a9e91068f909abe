"""Images inside a tar or zip. Members are read where they lie: nothing is ever unpacked, so nothing can escape."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ood_lightning.data.pack.listings import TOO_LARGE, Entry, Listing, Location, Refused, stamp_of
from ood_lightning.data.shards.formats import MAX_BYTES, image_names
from ood_lightning.data.shards.tars import Slice, tar_members
from ood_lightning.errors import SourceError

# what zipfile raises for damaged, encrypted and otherwise compressed members
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
_opened = lru_cache(maxsize=1)(zipfile.ZipFile)


class ZipMember(NamedTuple):
    """The member of that number in a zip."""

    path: str
    number: int

    def read(self) -> bytes:
        """Its bytes, unpacked in memory, and not more of them than it says."""
        opened = _opened(self.path)
        try:
            with opened.open(opened.infolist()[self.number]) as member:
                return member.read(MAX_BYTES)
        except _UNREADABLE as error:
            raise ValueError(str(error)) from None


def tar_listing(path: Path) -> Listing:
    """Images of an uncompressed tar.

    Raises:
        SourceError: it is compressed, damaged or cut.
    """
    try:
        members = [
            _placed(
                member.name,
                member.size,
                member.isreg() and not member.issparse(),
                Slice(str(path), member.offset_data, member.size),
            )
            for member in tar_members(path)
            if not member.isdir()
        ]
    except tarfile.TarError as error:
        raise SourceError(f"{path} {error}") from None

    return _listing(path, members)


def zip_listing(path: Path) -> Listing:
    """Images of a zip.

    Raises:
        SourceError: it is damaged or cut.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            members = [
                _placed(
                    member.filename.replace("\\", "/"),  # as some programs of Windows write them
                    member.file_size,
                    (member.external_attr >> 28) in (0, 8),  # file type of Unix: 8 is a plain file, 0 says nothing
                    ZipMember(str(path), number),
                )
                for number, member in enumerate(opened.infolist())
                if not member.filename.endswith(("/", "\\"))
            ]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path} is no sound zip: {error}") from None

    return _listing(path, members)


def _placed(name: str, size: int, is_plain: bool, location: Location) -> tuple[str, Location]:
    """A member's plain name (`./a.png` is `a.png`), and where its bytes lie or why it is not read."""
    if name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/":
        location = Refused("its name leads out of the archive")
    elif not is_plain:
        location = Refused("a link, device or sparse file, and no plain member")
    elif size > MAX_BYTES:
        location = Refused(TOO_LARGE)
    return str(PurePosixPath(name)), location


def _listing(path: Path, members: Sequence[tuple[str, Location]]) -> Listing:
    """Images among the members, sorted by name; of members with one name, the order in the archive holds."""
    listing = Listing([], foldered=True)
    stamp = stamp_of(path.stat())
    images = set(image_names((name for name, _ in members), listing.passed_over))

    entries = (Entry(name, location, stamp) for name, location in members if name in images)
    listing.entries = sorted(entries, key=lambda entry: entry.path)
    return listing
