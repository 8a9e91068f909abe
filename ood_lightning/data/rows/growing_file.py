"""A file that grows a block at a time, and that a later process goes on with after Ctrl-C or a kill at any moment.

Beside `rows.csv` there are, until it is finished, two files:

    .rows.csv.partial    the rows so far, perhaps with half a block behind them
    .rows.csv.journal    how many bytes of them are whole blocks, how many images they stand for, and their hash

A block is appended first and stated in the journal afterwards, which is replaced in one step. So the journal never
states what is not there; whatever lies behind the stated bytes is cut off, and the work of that block is done again.
The finished file has the bytes of one that was never interrupted.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from xxhash import xxh3_128

from ood_lightning.data.artifacts.files import CANNOT_LOCK, HELD, make_folder, write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, decode_json
from ood_lightning.errors import SettingsError, UnwritableError, UserError

PIECE = 1 << 20  # bytes that are read at once
FORMAT = "ood_lightning/rows/1"


@dataclass(frozen=True)
class Journal:
    """How far a file has come.

    Args:
        run: hash of all that decides what the rows are.
        images: that the whole blocks stand for.
        images_hash: of the names of these images.
        bytes: of the whole blocks.
        bytes_hash: of these bytes.
        state: what the writer has counted so far, plain data.
        format: of this file.
    """

    __pydantic_config__: ClassVar = STRICT

    run: str
    images: Count
    images_hash: str
    bytes: Count
    bytes_hash: str
    state: dict[str, Any]
    format: str = FORMAT


class GrowingFile:
    """Whole blocks of rows, and what the journal says of them; made by :func:`growing_file`.

    Args:
        path: of the finished file.
        file: the partial one, locked.
        run: hash of all that decides what the rows are.
    """

    def __init__(self, path: Path, file: BinaryIO, run: str) -> None:
        self.path, self.partial, self.journal_file = path, partial_of(path), journal_of(path)
        self._file, self._run = file, run
        self._hash = xxh3_128()
        self._images_hash = xxh3_128()
        self.journal = self._sound_journal() or Journal(run, 0, "", 0, "", {})
        self._file.truncate(self.journal.bytes)
        self._file.seek(self.journal.bytes)

    def count(self, name: str) -> None:
        """Take in the name of an image, in order: of those that are done as of those that are yet to come."""
        self._images_hash.update(os.fsencode(name) + b"\0")

    def check_images(self) -> None:
        """Refuse to go on where the images counted so far are not those that the rows are of.

        Raises:
            SettingsError: they are others.
        """
        if self._images_hash.hexdigest() != self.journal.images_hash:
            raise SettingsError(
                f"{self.path} was begun with other images, of which {self.journal.images:,} are done: give the same "
                f"ones to go on, or remove {self.journal_file} to begin anew"
            )

    def append(self, block: bytes, n_images: int, state: dict[str, Any]) -> None:
        """Add a block, whole or not at all.

        Args:
            block: of rows.
            n_images: that it stands for; their names were counted.
            state: what the writer has counted so far, plain data.

        Raises:
            UnwritableError: the disk is full.
        """
        try:
            self._file.write(block)
            self._file.flush()
        except OSError as error:
            raise UnwritableError(self.partial, error.strerror or str(error)) from None

        self._hash.update(block)
        done = self.journal
        self.journal = Journal(
            self._run,
            done.images + n_images,
            self._images_hash.hexdigest(),
            done.bytes + len(block),
            self._hash.hexdigest(),
            state,
        )
        write_json(self.journal_file, asdict(self.journal), escaped=True)

    def finish(self, convert: Callable[[BinaryIO], None] | None = None) -> None:
        """Give the file its name.

        Args:
            convert: writes the finished file from the rows; None: the rows are the file.
        """
        try:
            if convert is None:
                os.fsync(self._file.fileno())
                self.partial.replace(self.path)
            else:
                self._file.seek(0)
                convert(self._file)
                self.partial.unlink()
            self.journal_file.unlink(missing_ok=True)
        except OSError as error:
            if isinstance(error, UserError):
                raise
            raise UnwritableError(self.path, error.strerror or str(error)) from None

    def _sound_journal(self) -> Journal | None:
        """The journal of an interrupted process, if its bytes are there; None where there is nothing to go on with."""
        if not self.journal_file.is_file():
            return None
        journal = decode_json(
            self.journal_file.read_bytes(),
            Journal,
            str(self.journal_file),
            lambda text: SettingsError(f"{text}. Remove it to begin anew"),
        )
        if journal.run != self._run:
            raise SettingsError(
                f"{self.path} was begun with another detector or other settings ({journal.images:,} images are done): "
                f"use the same ones to go on, or remove {self.journal_file} to begin anew"
            )

        remaining = journal.bytes
        while remaining and (piece := self._file.read(min(PIECE, remaining))):
            self._hash.update(piece)
            remaining -= len(piece)
        if remaining or (journal.bytes and self._hash.hexdigest() != journal.bytes_hash):
            self._hash = xxh3_128()  # the machine went down before the rows were on its disk, or somebody removed them
            return None
        return journal


def partial_of(path: Path) -> Path:
    """Where the rows lie until all are there."""
    return path.with_name(f".{path.name}.partial")


def journal_of(path: Path) -> Path:
    """Where it is stated how many of them count."""
    return path.with_name(f".{path.name}.journal")


@contextmanager
def growing_file(path: Path, run: str) -> Iterator[GrowingFile]:
    """A file to go on with, or to begin; no other process writes it meanwhile.

    Args:
        path: of the finished file.
        run: hash of all that decides what the rows are.

    Raises:
        SettingsError: another process is writing it, or it was begun with other settings.
        UnwritableError: the folder may not be written to.
    """
    make_folder(path.parent)
    try:
        file = os.fdopen(os.open(partial_of(path), os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise UnwritableError(partial_of(path), error.strerror or str(error)) from None

    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise SettingsError(f"another process is writing {path}: wait until it has ended") from None
            if error.errno not in CANNOT_LOCK:
                raise
        yield GrowingFile(path, file, run)
