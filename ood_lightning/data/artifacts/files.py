"""Small files, written so that no reader ever sees half of one."""

import errno
import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from ood_lightning.errors import SettingsError, UnwritableError, UserError

log = logging.getLogger(__name__)

LOCK = ".lock"  # in a run's folder
HELD = (errno.EACCES, errno.EAGAIN)
CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network folders are mounted without locks
TOKEN = 4  # bytes drawn for a temporary name


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as far as they are missing.

    Raises:
        UnwritableError: a file is in the way, or the folder above may not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(path, error.strerror or str(error)) from None


@contextmanager
def sole_writer(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Keep other processes from writing into a folder, on this machine and on others that see it.

    The system takes the lock back when the process ends, however it ends; the empty file stays. A lock of POSIX's kind,
    not `flock`: workers that this process forks would keep that one when it is killed.

    Args:
        folder: is made if it is missing.
        lock: name of the empty file in it; another one where processes write different files of one folder.

    Raises:
        SettingsError: another process holds the folder.
        UnwritableError: the folder may not be written to.
    """
    make_folder(folder)
    path = folder / lock
    try:
        file = path.open("a")
    except OSError as error:
        raise UnwritableError(path, error.strerror or str(error)) from None

    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise SettingsError(
                    f"another process is writing into {folder}: wait until it has ended, or give this run another "
                    f"folder"
                ) from None
            if error.errno not in CANNOT_LOCK:
                raise
            log.warning("%s lies where no file can be locked: let no two runs write into it at once", folder)
        yield


def atomic_write(path: Path, data: bytes | memoryview) -> None:
    """Write to a temporary name in the same folder, then rename.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to; an older file of that name stays as it
            was.
    """
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """The same piece by piece: a file to write to, which gets its name once the block has ended without an error.

    Raises:
        UnwritableError: as of :func:`atomic_write`, also where writing within the block fails.
    """
    make_folder(path.parent)
    # random, not the process id: two containers on two nodes often have the same one
    temporary = path.with_name(f".{path.name}.{token_hex(TOKEN)}")

    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        # a person's error that happens to be one of files; or another process has written the same file, finished, and
        # swept this temporary one away: that is no error
        if isinstance(error, UserError):
            raise
        if not (isinstance(error, FileNotFoundError) and path.is_file()):
            raise UnwritableError(path, error.strerror or str(error)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object, *, indent: int = 1, escaped: bool = False) -> None:
    """Write as JSON; the same content gives the same bytes.

    Args:
        path: where to.
        content: plain data.
        indent: of each level.
        escaped: write ASCII only, so that file names that are no UTF-8 can stand in it.
    """
    atomic_write(path, (json.dumps(content, indent=indent, ensure_ascii=escaped) + "\n").encode())


def sweep(folder: Path, names: set[str]) -> None:
    """Remove the temporary files that killed processes left of finished files in a folder.

    Args:
        folder: where they lie.
        names: of the finished files; a process that still writes one of them writes the same bytes once more.
    """
    for path in folder.glob(".*"):
        if path.name[1 : -1 - 2 * TOKEN] in names:
            path.unlink(missing_ok=True)
