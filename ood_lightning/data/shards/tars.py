"""A tar's headers: which samples it holds, where they lie, and whether it is whole. Needs no torch.

This is the only reader of shards: what `data check` lists as wrong is what `embed` stops at. Members are grouped as
webdataset groups them. The check of the archive's end finds the cuts that the tar format itself passes over in silence.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ood_lightning.data.shards.formats import PICTURE_ENDINGS, is_fork, may_be_picture
from ood_lightning.errors import ShardContentError
from ood_lightning.plurals import many

# what compressed files begin with, and what uncompresses them
COMPRESSED = {
    b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd",
    b"\x04\x22M\x18": "unlz4", b"\x1f\x9d": "uncompress", b"LZIP": "lzip -d",
}  # fmt: skip
SCATTERED = "comes twice. Keys must differ, and members of a sample lie side by side (pack with `tar --sort=name`)"
MAX_CLASS = 2**63 - 1  # that a tensor holds


class Slice(NamedTuple):
    """Bytes within a file, such as a member of a tar."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Those bytes."""
        with open(self.path, "rb") as file:
            return self.read_from(file)

    def read_from(self, file: BinaryIO) -> bytes:
        """Those bytes, of the file that is open already."""
        file.seek(self.offset)
        data = file.read(self.size)
        if len(data) < self.size:
            raise ValueError("the file ends within it")
        return data


class Located(NamedTuple):
    """One sample: its key, and where picture, class and `.json` lie."""

    key: str
    suffix: str
    picture: Slice
    label: Slice | None
    metadata: Slice | None


class Fault(NamedTuple):
    """Why a tar cannot be read as a shard: the key or member concerned (empty: the tar itself), and what is wrong."""

    where: str
    what: str


def tar_members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Members of an uncompressed tar, in order; those before a damage come first.

    Raises:
        tarfile.TarError: it is compressed, damaged or cut, also where the tar format would end early without an error;
            its text goes on from the file's name.
    """
    name = None
    n_members = 0
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
            for member in tar:
                name = member.name
                n_members += 1
                yield member
                tar.members.clear()  # type: ignore[attr-defined]  # 440 bytes of each, for lookups that nobody makes

            raw.seek(tar.offset)
            if raw.read(1024) != bytes(1024):  # a whole archive ends with two blocks of zeros
                raise tarfile.ReadError(f"damaged or cut after {many(n_members, 'member')}, copy it again")
            if _goes_on(raw):
                raise tarfile.ReadError(
                    "another tar follows its end, as where `cat` joined two: name each by itself, or join them with "
                    "`tar --concatenate`"
                )
    except tarfile.TarError as error:
        where = f", its last legible member is {name!r}" if name else ""
        raise tarfile.ReadError(_another_kind(path) or f"is no sound tar{where}: {error}") from None


def _goes_on(file: BinaryIO) -> bool:
    """Whether a member follows the end of an archive, where the tar format stops; other bytes than zeros need not."""
    while block := file.read(512):
        if block.strip(b"\0"):
            with suppress(tarfile.HeaderError):
                tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
                return True
            return False
    return False


def _another_kind(path: Path) -> str:
    """What a file is if it is known to be no tar, and what to do with it; empty: perhaps it is one."""
    with path.open("rb") as file:
        start = file.read(6)
    if tool := next((tool for magic, tool in COMPRESSED.items() if start.startswith(magic)), ""):
        return f"is a compressed tar: uncompress it first (`{tool}`), its members cannot be reached one by one"
    return "is a zip and no tar: make shards of it with `data pack`" if start.startswith(b"PK") else ""


def scanned(path: Path) -> tuple[int, str]:
    """Number of samples, and a hash of the members' names, sizes and times.

    Raises:
        ShardContentError: the archive is compressed, damaged or cut.
    """
    headers = hashlib.sha256()

    def noted(members: Iterable[tarfile.TarInfo]) -> Iterator[tarfile.TarInfo]:
        for member in members:
            headers.update(f"{member.name}\0{member.size}\0{member.mtime}\n".encode("utf-8", "surrogateescape"))
            yield member

    try:
        n_samples = sum(isinstance(part, Located) for part in _samples(path, noted(tar_members(path))))
    except tarfile.TarError as error:
        raise ShardContentError(f"{path} {error}") from None
    return n_samples, headers.hexdigest()


def sound(shard: object, parts: Iterable[Located | Fault]) -> Iterator[Located]:
    """Samples of a shard, in order; those before a fault come first.

    Args:
        shard: what names it in errors.
        parts: of it, as :func:`examined` gives them.

    Raises:
        ShardContentError: the first of the faults.
    """
    for part in parts:
        if isinstance(part, Fault):
            raise ShardContentError(f"{shard}: {part.where!r} {part.what}" if part.where else f"{shard} {part.what}")
        yield part


def examined(path: Path) -> Iterator[Located | Fault]:
    """Samples of a tar, in order, and between them whatever keeps it from being read as a shard.

    Faults are damage of the tar; a key or member that comes twice; members of a sample that lie apart; two pictures in
    a sample; and a picture that would be passed over, since it has no key or two dots in its name, or is no plain file.
    """
    try:
        yield from _samples(path, tar_members(path))
    except tarfile.TarError as error:
        yield Fault("", str(error))
    except OSError as error:
        yield Fault("", f"cannot be read: {error.strerror or error}")


def _samples(path: Path, members: Iterable[tarfile.TarInfo]) -> Iterator[Located | Fault]:
    """Members side by side under one key as samples; those without a picture are left out."""
    seen = set[str]()
    key = ""
    of_key: dict[str, Slice] = {}  # members by ending

    try:
        for member in members:
            name = member.name.encode("utf-8", "backslashreplace").decode()  # it need not be UTF-8, a stored key is
            ending_from = name.find(".", name.rfind("/") + 1)  # a key ends at the file's first dot, as in webdataset
            stem, ending = name[:ending_from], name[ending_from + 1 :].lower()
            if member.isdir() or ending_from < 0 or is_fork(name):
                continue

            has_key = bool(stem) and not stem.endswith("/")
            if not has_key or not member.isreg() or member.issparse():
                if may_be_picture(name):
                    yield Fault(name, "is a link, device or sparse file, no plain member" if has_key else "has no key")
                continue

            if stem != key:
                yield from _sample(key, of_key)
                key, of_key = stem, {}
                if key in seen:
                    yield Fault(key, SCATTERED)
                seen.add(key)
            if ending in of_key:
                yield Fault(key, f"has two members that end in .{ending}")
            of_key[ending] = Slice(str(path), member.offset_data, member.size)
    except (tarfile.TarError, OSError):
        if all(part.offset + part.size <= path.stat().st_size for part in of_key.values()):
            yield from _sample(key, of_key)
        raise
    yield from _sample(key, of_key)


def _sample(key: str, of_key: dict[str, Slice]) -> Iterator[Located | Fault]:
    """The members of a key as a sample, if one is a picture; of several the first."""
    pictures = [ending for ending in of_key if ending in PICTURE_ENDINGS]
    if len(pictures) > 1:
        yield Fault(key, f"has several pictures, .{' and .'.join(pictures)}: give each a key of its own")
    if pictures:
        yield Located(key, pictures[0], of_key[pictures[0]], of_key.get("cls"), of_key.get("json"))
        return

    # `a.mask.png` beside `a.jpg` belongs to it; alone it would be passed over
    if dotted := next((ending for ending in of_key if may_be_picture(f"{key}.{ending}")), ""):
        yield Fault(key, f"has a picture under {dotted!r} only: a name may have one dot, before its ending")


def class_number(text: bytes) -> int:
    """The content of a `.cls`: the number of a class, or -1 for none.

    Raises:
        ValueError: it is something else, or a number that no tensor holds.
    """
    if re.fullmatch(rb"\s*(-1|\d{1,19})\s*", text) and int(text) <= MAX_CLASS:
        return int(text)
    raise ValueError(f"its .cls is {text[:20]!r}: expected an integer from 0 to {MAX_CLASS}, or -1 for no class")


def label_of(sample: Located) -> int:
    """The class of a sample, -1 where it has none.

    Raises:
        ValueError, OSError: it cannot be read.
    """
    return class_number(sample.label.read()) if sample.label is not None else -1
