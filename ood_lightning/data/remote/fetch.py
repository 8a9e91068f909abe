"""Shards from elsewhere, fetched to a folder on this machine before they are read: `https:`, `hf:`, `s3:`, `pipe:`.

A fetched file takes its name when all its bytes have been checked, so what has a name is whole: a restart fetches only
what is missing, and reading is that of local shards, with its counts and hashes.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ood_lightning.data.remote import download
from ood_lightning.errors import ShardContentError, SourceError, UserError, first_line
from ood_lightning.hashes import sha256_of

CACHE, CACHE_VARIABLE = ".cache/shards", "OOD_LIGHTNING_SHARDS"
HF, S3, PIPE = "hf:", "s3:", "pipe:"
# revisions with a slash are those that the hub itself makes
ON_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/+(.*?))?/*")
Check = Callable[[Path], object]
Transfer = Callable[[IO[bytes], int | None], object]


def redacted(source: str) -> str:
    """A source as messages may name it: no query, no user, and of a command its first word."""
    if source.startswith(PIPE):
        words = source.removeprefix(PIPE).split()
        return f"{PIPE}{words[0] if words else ''} ..."
    return download.redacted(source) if source.startswith("http") else source


def file_name(source: str) -> str:
    """Last part of a source's path; of a command, the last word in it that ends like a tar."""
    if source.startswith(PIPE):
        words = source.removeprefix(PIPE).replace("'", " ").replace('"', " ").replace("?", " ").split()
        tars = [word.rpartition("/")[2] for word in words if word.endswith(".tar")]
        return tars[-1] if tars else "pipe.tar"
    path = unquote(urlsplit(source).path) if source.startswith("http") else source
    return path.rstrip("/").rpartition("/")[2]


def below(folder: str, name: str) -> str:
    """The source of a file in a remote folder; a query (a signature) stays at the end."""
    if not folder.startswith("http"):
        return f"{folder.rstrip('/')}/{name}"
    parts = urlsplit(folder)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def beside(source: str, name: str) -> str:
    """The source of a file in the folder of another."""
    if not source.startswith("http"):
        return f"{source.rpartition('/')[0]}/{name}"
    parts = urlsplit(source)
    return urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(name)}"))


def text(source: str) -> str:
    """What a small remote file says; fetched anew each time.

    Raises:
        SourceError: it cannot be fetched, or is no UTF-8.
    """
    try:
        with tempfile.TemporaryFile() as file:
            if source.startswith(HF):
                content = _from_hub(source).read_bytes()
            else:
                _transfer(source, file, None)
                file.seek(0)
                content = file.read()
    except UserError:
        raise
    except OSError as error:
        raise SourceError(f"{redacted(source)} cannot be kept in {tempfile.gettempdir()}: {error.strerror}") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{redacted(source)} is no text in UTF-8") from None


def fetch(source: str, sound: Check, size: int | None = None, sha256: str = "") -> Path:
    """Where the bytes of a remote file lie on this machine; they are fetched if they do not yet.

    The folder is `$OOD_LIGHTNING_SHARDS`, else `.cache/shards`; the hub's files lie in the hub's own (`$HF_HOME`).
    Processes that want one file at once wait for the first of them.

    Args:
        source: of one file.
        sound: raises if the file's content is not what it should be; run once, before the file takes its name.
        size: bytes it should have, if known.
        sha256: of its bytes, if known.

    Raises:
        SourceError: it cannot be fetched.
        ShardContentError: what came is not what it should be.
    """
    if source.startswith(HF):
        path = _from_hub(source)
        _check(source, path, size, "")  # readers compare the hash, as of every shard
        _checked(source, path, sound)
        return path
    # named by what is expected too: a shard that was packed anew is fetched anew, and no two sets share a file
    key = hashlib.sha256(f"{source}\0{size}\0{sha256}".encode()).hexdigest()[:16]
    target = cache() / key / file_name(source)
    fetch_to(target, partial(_transfer, source), redacted(source), sound, size, sha256, source.startswith("http"))
    return target


def cache() -> Path:
    """Folder of what was fetched: `$OOD_LIGHTNING_SHARDS`, else `.cache/shards`."""
    return Path(os.environ.get(CACHE_VARIABLE) or CACHE).expanduser()


def fetch_to(
    target: Path,
    transfer: Transfer,
    called: str,
    sound: Check,
    size: int | None,
    sha256: str,
    goes_on: bool,
) -> None:
    """Fetch a file once, whoever else wants it at the same time.

    Args:
        target: where it will lie when its bytes have been checked.
        transfer: writes it into an open file, given the bytes to expect.
        called: its name in messages.
        sound: see :func:`fetch`.
        size: see :func:`fetch`.
        sha256: see :func:`fetch`.
        goes_on: `transfer` appends to what the file already holds.

    Raises:
        SourceError: it cannot be fetched.
        ShardContentError: what came is not what it should be.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        while not target.is_file():
            with part.open("a+b") as file:
                _lock(file, target.parent)
                if target.is_file():
                    part.unlink(missing_ok=True)
                elif part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    if not (goes_on and sha256):  # nothing would tell that two versions had been joined
                        file.truncate(0)
                    _fill(transfer, called, file, part, sound, size, sha256)
                    part.replace(target)
                # else another process gave up, and took the file away, while this one waited
    except UserError:
        raise
    except OSError as error:
        raise SourceError(
            f"{called} cannot be kept in {target.parent}: {error.strerror or error} ({CACHE_VARIABLE} names another "
            f"folder)"
        ) from None


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the process ends, however it does
    except OSError as error:
        raise SourceError(
            f"files in {folder} cannot be locked ({error.strerror}): name a folder on this machine's own disk by "
            f"{CACHE_VARIABLE}"
        ) from None


def _fill(
    transfer: Transfer, called: str, file: IO[bytes], part: Path, sound: Check, size: int | None, sha256: str
) -> None:
    """Fetch into `part`, from the start once more if what came is wrong."""
    for last in (False, True):
        transfer(file, size)
        file.flush()
        try:
            _check(called, part, size, sha256)
            _checked(called, part, sound)
            return
        except ShardContentError:
            if last:
                part.unlink()
                raise
            file.truncate(0)


def _checked(called: str, path: Path, sound: Check) -> None:
    try:
        sound(path)
    except ShardContentError as error:
        raise ShardContentError(f"what came from {called} cannot be used: {error}") from None


def _check(called: str, path: Path, size: int | None, sha256: str) -> None:
    held = path.stat().st_size
    if size is not None and held != size:
        raise ShardContentError(
            f"{called} has {held:,} bytes, {size:,} were promised: the file or its description is old"
        )
    if sha256 and (found := sha256_of(path)) != sha256:
        raise ShardContentError(
            f"the bytes of {called} are not those that were promised (SHA-256 {found[:12]}..., "
            f"expected {sha256[:12]}...): they were changed there, or on the way. Nothing of them is kept."
        )


def _transfer(source: str, file: IO[bytes], size: int | None) -> None:
    if source.startswith(S3):
        if shutil.which("aws") is None:
            raise SourceError(
                f"{source}: s3: is read by the `aws` command, which is not installed here. Install AWS CLI, or give "
                f"another command that prints the tar: `pipe:COMMAND ...`."
            )
        _run(source, ["aws", "s3", "cp", "--no-progress", source, "-"], file)
    elif source.startswith(PIPE):
        # pipefail: `curl ... | zstd -d` would end well where curl does not
        _run(source, ["bash", "-o", "pipefail", "-c", source.removeprefix(PIPE)], file)
    else:
        download.download(source, file, size)


def _run(source: str, command: list[str], file: IO[bytes]) -> None:
    """Output of a command into `file`; what it complains of goes to standard error as it is."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
    except OSError as error:
        raise SourceError(f"{redacted(source)} cannot be run: {error.strerror}") from None
    with process:
        assert process.stdout is not None
        try:
            # not by the command itself: it would go on writing when this process has ended, and hold the file's lock
            shutil.copyfileobj(process.stdout, file, download.CHUNK)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SourceError(f"{redacted(source)} failed with exit status {process.returncode}; what it said stands above")


def _from_hub(source: str) -> Path:
    """A file of a data set of the Hugging Face hub, through the hub's own client, cache and token."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import HF_HUB_OFFLINE

    found = ON_HUB.fullmatch(source)
    if not found or not found[3]:
        raise SourceError(f"{source!r}: expected hf:OWNER/DATASET/PATH, or hf:OWNER/DATASET@REVISION/PATH")
    repository, revision, path = found.groups()
    for fails in count(1):
        try:
            return Path(hf_hub_download(repository, path, repo_type="dataset", revision=revision))
        except Exception as error:  # also those of its HTTP library, which has been another in each major version
            if _may_pass(error) and not HF_HUB_OFFLINE and fails < download.TRIES:
                download.pause(fails)
                continue
            tried = f", given up after {fails} tries" if fails > 1 else ""
            raise SourceError(
                f"{source} cannot be fetched{tried}: {first_line(error)} (a data set with restricted access needs "
                f"`hf auth login` or HF_TOKEN)"
            ) from None
    raise AssertionError("the loop has no end")


def _may_pass(error: Exception) -> bool:
    """Whether another try may mend what the hub's client gave up on: it does not try again after a reset or a 503."""
    told: BaseException | None = error
    while told is not None:  # a refusal may stand behind "not found in the cache"
        status = getattr(getattr(told, "response", None), "status_code", None)
        if isinstance(status, int):
            return status >= 500 or status in download.PASSING
        told = told.__cause__ or told.__context__
    if isinstance(error, OSError):
        return error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
    # by name: they are httpx's or httpx2's, and no OSErrors
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
