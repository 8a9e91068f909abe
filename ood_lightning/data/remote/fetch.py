"""Shards from elsewhere, fetched to a folder on this machine before they are read: `https:`, `hf:`, `s3:`, `pipe:`.

A fetched file gets its name when all its bytes have been checked, so what has a name is whole: a restart fetches only
what is missing, and reading is that of local shards, with its counts and hashes. Until then it is called `NAME.part`,
and is locked by the process that fetches it; other processes that want the same file wait for that lock.
"""

import fcntl
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ood_lightning.data.remote.addresses import HF, PIPE, S3, file_name, redacted
from ood_lightning.data.remote.commands import run_command
from ood_lightning.data.remote.download import download
from ood_lightning.data.remote.hub import hub_file
from ood_lightning.errors import ShardContentError, SourceError, UserError
from ood_lightning.file_names import name_fault
from ood_lightning.hashes import sha256_of
from ood_lightning.places import expanded

CACHE, CACHE_VARIABLE = ".cache/shards", "OOD_LIGHTNING_SHARDS"
MAX_TEXT_BYTES = 2**26  # of a remote manifest; one of a quarter of a million shards is smaller


def text(source: str) -> str:
    """The content of a small remote file; fetched anew each time.

    Raises:
        SourceError: it cannot be fetched, or is no UTF-8.
    """
    content = _Bounded(source)
    if source.startswith(HF):
        with hub_file(source).open("rb") as file:
            content.write(file.read(MAX_TEXT_BYTES + 1))
    else:
        _transfer(source, content, None)

    try:
        return content.getvalue().decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{redacted(source)} is no text in UTF-8") from None


class _Bounded(io.BytesIO):
    """A small file's bytes; a server cannot fill the memory with them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > MAX_TEXT_BYTES:
            raise SourceError(f"{redacted(self.source)} has more than {MAX_TEXT_BYTES:,} bytes: that is no manifest")
        return super().write(data)


def fetch(source: str, check_content: Callable[[Path], object], size: int | None = None, sha256: str = "") -> Path:
    """Where the bytes of a remote file lie on this machine; they are fetched if they do not yet.

    The folder is `$OOD_LIGHTNING_SHARDS`, else `.cache/shards`; the hub's files lie in the hub's own (`$HF_HOME`).
    Processes that want one file at once wait for the first of them.

    Args:
        source: address of one file.
        check_content: raises ShardContentError if the file does not hold what it should; called once, before the file
            gets its name.
        size: bytes it should have, if known.
        sha256: of its bytes, if known.

    Raises:
        SourceError: it cannot be fetched.
        ShardContentError: what came is not what it should be.
    """
    if fault := name_fault(file_name(source)):
        raise SourceError(f"{redacted(source)} is kept under the name {file_name(source)!r}, but {fault}")
    remote_file = _RemoteFile(source, check_content, size, sha256)
    if source.startswith(HF):
        path = hub_file(source)
        remote_file.check(path, hashed=False)  # the hash is compared when the shard is read
        return path

    try:
        return remote_file.fetch_once()
    except UserError:
        raise
    except OSError as error:
        raise SourceError(
            f"{redacted(source)} cannot be kept in {remote_file.target.parent}: {error.strerror or error} "
            f"({CACHE_VARIABLE} names another folder)"
        ) from None


@dataclass(frozen=True)
class _RemoteFile:
    """A file to fetch, and what it should be: the arguments of :func:`fetch`."""

    source: str
    check_content: Callable[[Path], object]
    size: int | None
    sha256: str

    @property
    def target(self) -> Path:
        """Where it will lie when its bytes have been checked."""
        # The folder is named by what is expected too: a shard that was packed anew is fetched anew, and no two sets
        # share a file.
        key = hashlib.sha256(f"{self.source}\0{self.size}\0{self.sha256}".encode()).hexdigest()[:16]
        return expanded(os.environ.get(CACHE_VARIABLE) or CACHE) / key / file_name(self.source)

    def fetch_once(self) -> Path:
        """Fetch the file, unless another process has; whoever else wants it at the same time waits."""
        target = self.target
        part = target.with_name(f"{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)

        while not target.is_file():
            with part.open("a+b") as file:
                _lock(file, target.parent)
                if target.is_file():  # another process finished while this one waited
                    part.unlink(missing_ok=True)
                elif part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    self._fill(file, part)
                    part.replace(target)
                # else another process gave up, and took away the file that this one waited for

        return target

    def _fill(self, file: IO[bytes], part: Path) -> None:
        """Fetch into `part`, from the start once more if what came is wrong."""
        # without a hash nothing would show that the rest is of another version than the start
        if not (self.source.startswith("http") and self.sha256):
            file.truncate(0)

        for last_try in (False, True):
            _transfer(self.source, file, self.size)
            file.flush()
            try:
                self.check(part, hashed=True)
                break
            except ShardContentError:
                if last_try:
                    part.unlink()
                    raise
                file.truncate(0)

    def check(self, path: Path, *, hashed: bool) -> None:
        """Compare size, hash and content with what was promised."""
        n_bytes = path.stat().st_size
        if self.size is not None and n_bytes != self.size:
            raise ShardContentError(
                f"{redacted(self.source)} has {n_bytes:,} bytes, {self.size:,} were promised: the file or its "
                f"description is old"
            )

        actual = sha256_of(path) if self.sha256 and hashed else self.sha256
        if actual != self.sha256:
            raise ShardContentError(
                f"the bytes of {redacted(self.source)} are not those that were promised (SHA-256 {actual[:12]}..., "
                f"expected {self.sha256[:12]}...): they were changed there, or on the way. Nothing of them is kept."
            )

        try:
            self.check_content(path)
        except ShardContentError as error:
            raise ShardContentError(f"what came from {redacted(self.source)} cannot be used: {error}") from None


def _transfer(source: str, file: IO[bytes], size: int | None) -> None:
    """Write what lies at an address to `file`; `size` is the bytes to expect, if known."""
    if source.startswith((S3, PIPE)):
        run_command(source, file)
    else:
        download(source, file, size)


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the process ends, in whatever way
    except OSError as error:
        raise SourceError(
            f"files in {folder} cannot be locked ({error.strerror}): name a folder on this machine's own disk by "
            f"{CACHE_VARIABLE}"
        ) from None
