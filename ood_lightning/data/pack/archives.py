"""Pictures inside a tar or zip. Members are read where they lie: nothing is ever unpacked, so nothing can escape."""

import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ood_lightning.data.pack.listings import Entry, Listing, Place, Refused, named_pictures, stamp_of
from ood_lightning.data.shards.decode import MAX_BYTES
from ood_lightning.data.shards.tars import ends_well
from ood_lightning.errors import SourceError
from ood_lightning.plurals import many

# what zipfile raises for damaged, encrypted and otherwise compressed members
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
_LARGE = f"larger than {MAX_BYTES >> 20} MiB"


@dataclass(frozen=True, slots=True)
class Slice:
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


@dataclass(frozen=True, slots=True)
class ZipMember:
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


@lru_cache(maxsize=1)
def _opened(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def tar_listing(path: Path) -> Listing:
    """Pictures of an uncompressed tar.

    Raises:
        SourceError: it is compressed, damaged or cut.
    """
    found, places = Listing([], foldered=True), []
    stamp = stamp_of(path.stat())
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
            places = [(_clean(member.name), _tar_place(path, member)) for member in tar if not member.isdir()]
            sound = ends_well(tar, raw)
    except tarfile.TarError as error:
        raise SourceError(_compressed(path) or f"{path} is no sound tar: {error}") from None
    if not sound:
        raise SourceError(f"{path} is damaged or cut after {many(len(places), 'member')}: copy it again")
    return _sorted(found, places, stamp)


def _compressed(path: Path) -> str:
    """What to do with a compressed tar; empty: it is none."""
    with path.open("rb") as file:
        start = file.read(6)
    tool = next((tool for magic, tool in COMPRESSED.items() if start.startswith(magic)), "")
    advice = f"uncompress it first (`{tool}`), its members cannot be reached one by one"
    return f"{path} is a compressed tar: {advice}" if tool else ""


def zip_listing(path: Path) -> Listing:
    """Pictures of a zip.

    Raises:
        SourceError: it is damaged or cut.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            members = [(i, member) for i, member in enumerate(opened.infolist()) if not member.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path} is no sound zip: {error}") from None
    places = [(_clean(member.filename), _zip_place(path, i, member)) for i, member in members]
    return _sorted(Listing([], foldered=True), places, stamp_of(path.stat()))


def _sorted(found: Listing, places: list[tuple[str, Place]], stamp: str) -> Listing:
    wanted = set(named_pictures((name for name, _ in places), found.passed_over))
    # stable: of members with one name, the order in the archive holds
    rows = sorted(((name, place) for name, place in places if name in wanted), key=lambda row: row[0])
    found.entries = [Entry(name, place, stamp) for name, place in rows]
    return found


def _tar_place(path: Path, member: tarfile.TarInfo) -> Place:
    if not _inside(member.name):
        return Refused("its name leads out of the archive")
    if not member.isreg() or member.issparse():
        return Refused("a link, device or sparse file, and no plain member")
    return Refused(_LARGE) if member.size > MAX_BYTES else Slice(str(path), member.offset_data, member.size)


def _zip_place(path: Path, number: int, member: zipfile.ZipInfo) -> Place:
    if not _inside(member.filename):
        return Refused("its name leads out of the archive")
    if (member.external_attr >> 28) not in (0, 8):  # file type of Unix: 8 is a plain file, 0 says nothing
        return Refused("a link or device, and no plain member")
    return Refused(_LARGE) if member.file_size > MAX_BYTES else ZipMember(str(path), number)


def _inside(name: str) -> bool:
    return not name.startswith(("/", "\\")) and ".." not in name.replace("\\", "/").split("/") and name[1:3] != ":\\"


def _clean(name: str) -> str:
    return str(PurePosixPath(name))
