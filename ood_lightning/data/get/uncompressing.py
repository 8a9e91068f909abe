"""A compressed tar as a plain one, whose members can be reached one by one; nothing is unpacked."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from ood_lightning.data.artifacts.files import atomic_file
from ood_lightning.errors import SourceError
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from tqdm import tqdm

OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
CHUNK = 1 << 20  # bytes
MOST = 20  # times as large as the compressed file; pictures hardly shrink, so more is no archive of pictures
ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz")


def is_compressed(name: str) -> bool:
    """Whether a name is that of a compressed tar."""
    return name.lower().endswith(ENDINGS)


def plain_tar(path: Path) -> Path:
    """Where the tar within a compressed file will lie: `a.tar` for `a.tar.gz` and `a.tgz`."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
    return path.with_name(f"{path.name[: len(path.name) - len(ending)]}.tar") if ending else path


def uncompressed(path: Path) -> Path:
    """A tar without its compression, beside it; the file itself if it has none, whatever its name says.

    A finished one of an earlier call is taken again: it has the time of the compressed file.

    Raises:
        SourceError: it is damaged or cut, or far larger than an archive of pictures.
        UnwritableError: the disk is full.
    """
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        return path

    target, stamp = plain_tar(path), path.stat()
    if target == path:
        raise SourceError(f"{path} is compressed though its name does not say so: {', '.join(ENDINGS)} are read")
    if target.is_file() and target.stat().st_mtime_ns == stamp.st_mtime_ns:
        return target

    with (
        atomic_file(target) as out,
        path.open("rb") as packed,
        opener(packed) as plain,
        bar(stamp.st_size, f"uncompress {path.name}", "B") as progress_bar,
    ):
        _copy(path, packed, cast(IO[bytes], plain), out, progress_bar)
        out.flush()
        os.utime(out.fileno(), ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return target


def _copy(path: Path, packed: IO[bytes], plain: IO[bytes], out: IO[bytes], progress_bar: "tqdm") -> None:
    n_bytes, most_bytes = 0, MOST * path.stat().st_size + CHUNK

    while True:
        try:
            chunk = plain.read(CHUNK)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise SourceError(f"{path} is damaged or cut: {error}") from None
        if not chunk:
            return

        n_bytes += out.write(chunk)
        if n_bytes > most_bytes:
            raise SourceError(f"{path} is more than {MOST} times as large without its compression: no set of pictures")
        progress_bar.update(packed.tell() - progress_bar.n)
