"""One file from the first of its addresses that gives the right bytes.

Until its bytes have been verified it is called `NAME.part`; beside that lies which version of which address they are
of, so that a later call goes on where this one ended, and never joins the beginning of one version to the end of
another.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ood_lightning.data.artifacts.files import make_folder, write_json
from ood_lightning.data.cards.fetching import ArchiveEntries
from ood_lightning.data.get.provenance import HERE, Provenance, read_provenance, record_of, write_provenance
from ood_lightning.data.get.space import check_room
from ood_lightning.data.remote.addresses import redacted
from ood_lightning.data.remote.download import download
from ood_lightning.errors import SourceError, UnwritableError, UserError
from ood_lightning.progress import bar

CHUNK = 1 << 22  # bytes of a file that are hashed at a time


class _WrongBytesError(UserError):
    """What came is not what was stated, or not what came first; its text says how."""


def fetched(archive: ArchiveEntries, folder: Path, *, still_needed: int = 0) -> Provenance:
    """Fetch a file into a folder, unless it lies there, and verify it.

    Args:
        archive: addresses, size, hash.
        folder: where it lies in the end, under its own name.
        still_needed: bytes of room in `folder` that are needed when it is there, as a multiple of its size.

    Raises:
        SourceError: no address gives it; names each of them and why not.
        SettingsError: the disk has no room for it.
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    make_folder(folder)
    target = folder / archive.file
    known = read_provenance(target)
    if target.is_file():
        return _verified_there(archive, target, known)

    causes = []
    for address in archive.addresses:
        try:
            return _from(address, archive, target, known, still_needed)
        except _WrongBytesError as error:
            part_of(target).unlink(missing_ok=True)
            causes.append(str(error))
        except SourceError as error:
            causes.append(str(error).removesuffix("."))
        except UserError:
            raise
        except OSError as error:
            raise UnwritableError(part_of(target), error.strerror or str(error)) from None

    if part_of(target).is_file() and not part_of(target).stat().st_size:
        part_of(target).unlink()
    tried = f" by any of its {len(causes)} addresses" if len(causes) > 1 else ""
    raise SourceError(f"{archive.file} cannot be had{tried}: {'; '.join(causes)}")


def part_of(target: Path) -> Path:
    """What a file is called until it is whole and verified."""
    return target.with_name(f"{target.name}.part")


def _from(
    address: str, archive: ArchiveEntries, target: Path, known: Provenance | None, still_needed: int
) -> Provenance:
    """Fetch from one address, from the start once more if what was resumed turns out wrong."""
    part = part_of(target)
    with part.open("a+b") as file:
        state = _Version(part)
        # a hash that somebody states shows whether the parts fit; otherwise only the server's own tag does
        if not (archive.digest[0] or state.continues(address)):
            file.truncate(0)

        for resumed in (bool(file.seek(0, os.SEEK_END)), False):
            _transfer(address, archive, file, state, target, still_needed)
            file.flush()
            try:
                sha256 = _check(archive, part, known)
                break
            except _WrongBytesError as error:
                file.truncate(0)
                state.forget()
                if not resumed:
                    raise _WrongBytesError(f"{redacted(address)} {error}") from None

    # first the record, then the name: a file that has its name has its record
    provenance = write_provenance(target, archive, redacted(address), part.stat().st_size, sha256)
    part.replace(target)
    state.forget()
    return provenance


def _transfer(
    address: str, archive: ArchiveEntries, file: IO[bytes], state: "_Version", target: Path, still_needed: int
) -> None:
    def on_total(held: int, total: int) -> None:
        check_room({target.parent: total - held + still_needed * total}, archive.file)

    with _Watcher(archive.file, address, state, on_total) as watcher:
        etag = state.etag if state.continues(address) else ""
        download(address, file, archive.bytes, etag=etag, watcher=watcher)


def _check(archive: ArchiveEntries, path: Path, known: Provenance | None) -> str:
    """Compare with what is stated, and with what came first; returns the SHA-256."""
    kind, stated = archive.digest
    digests = _digests(path, archive.file, {"sha256", kind or "sha256"})
    sha256 = digests["sha256"]

    if kind and digests[kind] != stated:
        raise _WrongBytesError(
            f"gives other bytes than stated ({kind} {digests[kind][:12]}..., {archive.stated_by} has {stated[:12]}...)"
        )
    if not kind and known is not None and sha256 != known.sha256:
        raise _WrongBytesError(
            f"gives other bytes than at the first fetch (SHA-256 {sha256[:12]}..., kept by us {known.sha256[:12]}...): "
            f"if the new ones are wanted, remove {record_of(path.with_name(archive.file))}"
        )
    return sha256


def _verified_there(archive: ArchiveEntries, target: Path, known: Provenance | None) -> Provenance:
    """The same for a file that has its name, from an earlier call or by a person's hand."""
    try:
        sha256 = _check(archive, target, known)
    except _WrongBytesError as error:
        text = str(error).replace("gives", "has")
        to_do = "Or remove the file: it is" if record_of(target).name in text else "Remove the file, and it is"
        raise SourceError(f"{target} {text}. {to_do} then fetched anew") from None

    if known is not None and known.sha256 == sha256:
        return known
    return write_provenance(target, archive, HERE, target.stat().st_size, sha256)


def _digests(path: Path, name: str, kinds: set[str]) -> dict[str, str]:
    """Hashes of a file by kind, from one reading."""
    hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    with path.open("rb") as file, bar(path.stat().st_size, f"verify {name}", "B", delay_s=2) as progress_bar:
        while chunk := file.read(CHUNK):
            for hashing in hashes.values():
                hashing.update(chunk)
            progress_bar.update(len(chunk))
    return {kind: hashing.hexdigest() for kind, hashing in hashes.items()}


class _Version:
    """Which version of which address the bytes of a `.part` are of; kept beside it."""

    def __init__(self, part: Path) -> None:
        self.path = part.with_name(f"{part.name}.json")
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            self.address, self.etag = str(content["address"]), str(content["etag"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            self.address = self.etag = ""

    def continues(self, address: str) -> bool:
        """Whether the bytes are of a version that the server can be asked for by its tag."""
        return bool(self.etag) and self.address == redacted(address)

    def note(self, address: str, etag: str) -> None:
        """From now on the bytes are of this version."""
        if (self.address, self.etag) != (redacted(address), etag):
            self.address, self.etag = redacted(address), etag
            write_json(self.path, {"address": self.address, "etag": etag})

    def forget(self) -> None:
        """The bytes are gone, or whole."""
        self.address = self.etag = ""
        self.path.unlink(missing_ok=True)


class _Watcher:
    """Notes the version that a server sends, asks for room, and moves a progress bar."""

    def __init__(self, name: str, address: str, state: _Version, on_total: Callable[[int, int], None]) -> None:
        self.name, self.address, self.state, self.on_total = name, address, state, on_total
        self.bar = bar(None, f"fetch {name}", "B")

    def answered(self, held: int, total: int | None, etag: str) -> None:
        """See :class:`~ood_lightning.data.remote.download.Watcher`."""
        self.state.note(self.address, etag)
        if total is not None:
            self.on_total(held, total)
        self.bar.total = total
        self.bar.initial = self.bar.n = held  # what lay here is no part of the speed
        self.bar.refresh()

    def received(self, n_bytes: int) -> None:
        """See :class:`~ood_lightning.data.remote.download.Watcher`."""
        self.bar.update(n_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()
