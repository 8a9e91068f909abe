"""A listing as a packed set: class numbers and names, recipes, shards. What `data pack` and `data get` share."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from ood_lightning.data.pack.classes import Order, class_folders, numbered
from ood_lightning.data.pack.listings import Entry, Listing
from ood_lightning.data.pack.packing import check_claim, pack
from ood_lightning.data.pack.sources import recipes
from ood_lightning.data.pack.tar_writer import SkippedImage
from ood_lightning.data.plain_names import plain_names
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SourceError

Labels = Literal["auto", "none"]


class HowToPack(NamedTuple):
    """Choices of a packing.

    Attributes:
        labels: `auto`: classes are the listing's labels, or the first folders that differ; `none`: no classes.
        class_order: of class folders or names.
        names: of the classes in their order, each with its folder where that is known; empty: the source's own.
        samples_per_shard: pictures in a shard.
        workers: processes.
        verify: decode every picture; otherwise its header only.
        max_bad_samples: pictures that may be left out.
    """

    labels: Labels = "auto"
    class_order: Order = "auto"
    names: Sequence[tuple[str | None, str]] = ()
    samples_per_shard: int = 1000
    workers: int = 2
    verify: bool = True
    max_bad_samples: int = 0


def pack_set(
    folder: Path, manifest: Manifest, listed: Listing, entries: Sequence[Entry], location: str, how: HowToPack
) -> tuple[Manifest, list[SkippedImage]]:
    """Pack pictures into shards, see :func:`~ood_lightning.data.pack.packing.pack`.

    Args:
        folder: of the shards.
        manifest: the set, without shards and class names.
        listed: what the source holds.
        entries: of it, those to pack.
        location: of the source; another one is refused in the same folder.
        how: choices.

    Returns:
        The manifest with shards and class names, and what was left out.
    """
    classes: list[int | str | None] = [None] * len(entries)
    if how.labels == "auto" and listed.foldered:
        classes = [*class_folders([entry.path for entry in entries])]
    elif how.labels == "auto":
        classes = [entry.label for entry in entries]

    of_source = listed.class_names if how.labels == "auto" else ()
    known_names: Sequence[str] = [class_name for _, class_name in how.names] or of_source
    known_folders = [folder_name for folder_name, _ in how.names if folder_name is not None]
    numbers, written = numbered(classes, known_names, how.class_order, known_folders)

    return pack(
        folder,
        replace(manifest, class_names=tuple(plain_names(written, f"class names of {manifest.source}", SourceError))),
        _origin(location),
        recipes(entries, numbers, how.samples_per_shard, how.verify),
        how.workers,
        how.max_bad_samples,
        {"passed_over": dict(sorted(listed.passed_over.items())), **listed.notes},
    )


def check_place(folder: Path, name: str, location: str) -> None:
    """Refuse a folder that holds something else, before anything is fetched for it.

    Args:
        folder: of the shards; it need not exist.
        name: of the set.
        location: see :func:`pack_set`.

    Raises:
        SettingsError: the folder holds something else.
    """
    check_claim(folder, name, _origin(location))


def _origin(location: str) -> str:
    return hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:16]
