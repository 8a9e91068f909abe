"""Picture files below a folder: which there are, and those of a virtual shard, read where they lie. Needs no torch."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from ood_lightning.data.shards.formats import MAX_BYTES, image_names
from ood_lightning.data.shards.tars import Fault, Located, Slice
from ood_lightning.errors import SourceError

AGAIN = "Give the same command again"


@dataclass(frozen=True)
class FolderFiles:
    r"""The files of a virtual shard, as they were when their folder was listed.

    Args:
        folder: that their names start from.
        packed: NAME\0SIZE\0TIME\0 of each file in order, the time of its last change in nanoseconds; some 50 bytes a
            file, where strings and numbers of Python take 200.
    """

    folder: Path
    packed: bytes

    def __str__(self) -> str:
        return str(self.folder)

    def examined(self) -> Iterator[Located | Fault]:
        """Each file as a sample, or as a fault where it is no longer what was listed."""
        parts = iter(self.packed.split(b"\0")[:-1])
        for raw, size, time_ns in zip(parts, parts, parts, strict=True):
            name = os.fsdecode(raw)
            path, key = os.path.join(self.folder, name), key_of(name)
            try:
                status = os.stat(path)
            except OSError as error:
                yield Fault(key, f"was there when the folder was listed, and now not ({error.strerror}). {AGAIN}")
                continue

            if (status.st_size, status.st_mtime_ns) != (int(size), int(time_ns)):
                yield Fault(key, f"was changed since the folder was listed: its size or time is another. {AGAIN}")
                continue
            kept = min(status.st_size, MAX_BYTES + 1)  # no more of a larger one is needed to refuse it
            yield Located(key, "", Slice(path, 0, kept), None, None)


def packed_file(folder: str, name: str) -> tuple[bytes, int] | None:
    """What `FolderFiles` keeps of a file, and its size; None where it is no plain file, such as a broken link."""
    try:
        status = os.stat(os.path.join(folder, name))
    except OSError:
        return None
    if not S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        return None
    return b"%b\0%d\0%d\0" % (os.fsencode(name), status.st_size, status.st_mtime_ns), status.st_size


def key_of(name: str) -> str:
    r"""The key of a file: its relative path, in which bytes that are no UTF-8 are spelt `\udcXX`.

    Where a name holds such a spelling itself, the backslashes before it are doubled, so that no two files share a key.

    Example:
        >>> key_of("cat/1 ä.jpg"), key_of("\udcff.jpg"), key_of(r"\udcff.jpg")
        ('cat/1 ä.jpg', '\\udcff.jpg', '\\\\udcff.jpg')
    """
    doubled = re.sub(r"(\\+)(?=udc[89a-f][0-9a-f]|[\udc80-\udcff])", r"\1\1", name)
    return doubled.encode("utf-8", "backslashreplace").decode()


def name_of(key: str) -> str:
    r"""The relative path of a file by its key, the inverse of :func:`key_of`.

    Example:
        >>> names = "cat/1 ä.jpg", "\udcff.jpg", r"\udcff.jpg", "\\\udcff\\udcff.jpg"
        >>> [name_of(key_of(name)) == name for name in names]
        [True, True, True, True]
    """

    def undone(spelling: re.Match[str]) -> str:
        backslashes, code = spelling.groups()
        half = "\\" * (len(backslashes) // 2)
        return half + (chr(int(code[1:], 16)) if len(backslashes) % 2 else code)

    return re.sub(r"(\\+)(udc[89a-f][0-9a-f])", undone, key)


def picture_names(folder: Path, passed_over: Counter[str], *, hidden: bool = False) -> Iterator[str]:
    """Relative names of all files below a folder that may be pictures, in no order; links are followed, each once.

    Args:
        folder: with all its subfolders.
        passed_over: takes the endings of other files, and how many files and folders are hidden or resource forks.
        hidden: those that begin with a dot belong to it too, as to a data set that somebody publishes.

    Raises:
        SourceError: a folder may not be read.
    """
    return image_names(_names_below(folder, passed_over, hidden), passed_over)


def _names_below(folder: Path, passed_over: Counter[str], hidden: bool) -> Iterator[str]:
    """Relative names of the files below a folder; `rglob` would pass over linked folders in silence."""
    top = str(folder)
    seen = set()
    for path, subfolders, names in os.walk(top, followlinks=True, onerror=_refuse):
        real = os.path.realpath(path)
        if real in seen:  # a link back up, or a second way to a folder
            subfolders.clear()
            continue
        seen.add(real)

        entered = [name for name in subfolders if hidden or not name.startswith(".")]
        if n_hidden := len(subfolders) - len(entered):
            passed_over["hidden folders"] += n_hidden
        subfolders[:] = sorted(entered)

        below = path[len(top) :].lstrip("/")
        for name in names:
            if name.startswith(".") and not hidden and not name.startswith("._"):  # a fork, counted as such
                passed_over["hidden files"] += 1
            else:
                yield f"{below}/{name}" if below else name


def _refuse(error: OSError) -> None:
    raise SourceError(f"the folder {error.filename} cannot be read: {error.strerror}")
