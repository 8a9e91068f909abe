"""What `data get` would do for a set, and how much room that takes; nothing is fetched here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.cards.card import NOT_STATED, Card, Protocol
from ood_lightning.data.cards.cards import read_archive, shards
from ood_lightning.data.cards.fetching import ArchiveEntries, Fetch
from ood_lightning.data.get.fetching import part_of
from ood_lightning.data.get.provenance import OURS, read_provenance
from ood_lightning.data.get.space import gigabytes
from ood_lightning.data.get.uncompressing import is_compressed, plain_tar
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import read_manifest

WIDTH = 12  # of the words before a plan's lines


class Plan(NamedTuple):
    """How a set is had.

    Attributes:
        card: of the set.
        protocol: the way it is counted.
        fetch: which pictures of the archive, and how they are packed.
        archive: addresses, size, hash.
        raw: folder of what is fetched.
        out: folder of the shards.
    """

    card: Card
    protocol: Protocol
    fetch: Fetch
    archive: ArchiveEntries
    raw: Path
    out: Path

    @property
    def reference(self) -> str:
        """`ninco`, `ninco@imagefolder`."""
        return self.card.reference(self.protocol)

    @property
    def target(self) -> Path:
        """The fetched file."""
        return self.raw / self.archive.file

    @property
    def pictures(self) -> Path:
        """Folder of the pictures that a list names."""
        return self.raw / self.out.name

    @property
    def n_copies(self) -> int:
        """How often the size is needed in `raw` beside the fetched file: once without its compression, or not."""
        return int(not self.archive.picture_addresses and is_compressed(self.archive.file))

    @property
    def n_bytes(self) -> int | None:
        """Size of what is fetched, as a source states it to the byte, or in GB; None: none does."""
        if self.archive.picture_addresses:
            return None
        stated = self.card.gigabytes(self.protocol)
        return self.archive.bytes or (int(stated * 1e9) if stated is not None else None)

    def room(self) -> Mapping[Path, int]:
        """Bytes that are still needed, by folder; 0 where no source states a size."""
        n_bytes, part = self.n_bytes or 0, part_of(self.target)
        held = next((path.stat().st_size for path in (self.target, part) if path.is_file()), 0)
        copies = 0 if plain_tar(self.target).is_file() else self.n_copies
        return {self.raw: max(n_bytes - held, 0) + copies * n_bytes, self.out: n_bytes}

    def packed(self) -> Manifest | None:
        """The set, if it lies in `out` already."""
        if not (self.out / "manifest.json").is_file():
            return None
        manifest = read_manifest(str(self.out))
        return manifest if manifest.protocol == self.reference else None


def plan_of(card: Card, protocol: Protocol, raw: Path, out: Path) -> Plan | None:
    """The plan for a set; None: its card says no addresses.

    Args:
        card: of the set.
        protocol: one of its ways to count it.
        raw: folder of what is fetched.
        out: folder of all sets' shards.
    """
    if protocol.fetch is None:
        return None
    folder = out / shards(card, protocol).removeprefix("shards/")
    return Plan(card, protocol, protocol.fetch, read_archive(protocol.fetch.archive), raw, folder)


def lines(plan: Plan) -> Iterator[str]:
    """A plan for the eye."""
    card, fetch = plan.card, plan.fetch
    images = NOT_STATED if plan.protocol.images is None else f"{plan.protocol.images:,}"
    yield f"{plan.reference}: {card.title}, {card.role}; pictures by its card: {images}; licence: {card.licence}"

    for word, meaning in (*_fetch_lines(plan), *_unpack_lines(plan)):
        yield f"  {word:<{WIDTH}}{meaning}"

    classes = "no classes" if fetch.labels == "none" else f"classes: {fetch.names}"
    yield f"  {'pack':<{WIDTH}}{plan.out}, {classes}{'; is there already' if plan.packed() else ''}"

    room = [f"{gigabytes(n)} in {folder}" for folder, n in plan.room().items() if n]
    needed = f"about {' and '.join(room)}" if room else "not known before a server says how large it is"
    if plan.n_bytes is not None and not room:
        needed = "nothing more"
    yield f"  {'room':<{WIDTH}}{needed}"
    yield f"  {'cite':<{WIDTH}}{card.citation}"


def _fetch_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    archive, part = plan.archive, part_of(plan.target)
    known = read_provenance(plan.target)

    size = plan.card.size_of(plan.protocol)
    if archive.bytes is not None:
        size = f"{archive.bytes:,} bytes"
    elif archive.picture_addresses:
        size = f"a list; its pictures go to {plan.pictures}"
    there = "; is there already" if plan.target.is_file() else ""
    if part.is_file():
        there = f"; {part.stat().st_size:,} bytes have come"
    yield "fetch", f"{plan.target}: {size}{there}"

    remark = "checked by us" if archive.fetched_by_us else "address not checked by us"
    for address in archive.addresses:
        yield "  from", f"{address} ({remark})"
    for address in archive.picture_addresses:
        yield "  each", f"{address} ({remark})"
    yield "  named by", archive.addresses_by

    kind, digits = archive.digest
    if kind:
        yield "  hash", f"{kind} {digits}, stated by {archive.stated_by}"
    elif known is not None:
        yield "  hash", f"sha256 {known.sha256}: {OURS}"
    else:
        yield "  hash", "none is stated; the SHA-256 of what comes first is kept, as ours"


def _unpack_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.archive.picture_addresses:
        return
    if plan.n_copies:
        yield "unpack", f"{plain_tar(plan.target)} for the time of the packing"

    left_out = ", ".join((*plan.fetch.leave_out, *(f"*.{ending}" for ending in plan.fetch.endings_out)))
    without = f", without {left_out}" if left_out else ""
    yield "read", f"{plan.fetch.folder or 'all of it'}{without}; nothing is unpacked to files"
