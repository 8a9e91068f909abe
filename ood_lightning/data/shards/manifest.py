"""Manifest: what a set holds. Counts, bytes and hashes of each shard; for the set its role, licence and class names.

A manifest is a file `manifest.json` beside the shards; `read_manifest` reads it, or counts the tars of a set that has
none.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Count
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.folder_files import FolderFiles, name_of
from ood_lightning.data.shards.tars import scanned

Role = Literal["id", "covariate", "ood"]
Orientation = Literal["ignore", "exif"]


@dataclass(frozen=True)
class ShardEntry:
    """What a manifest says of one tar.

    Args:
        path: relative to the manifest.
        samples: pictures in it.
        bytes: its size.
        sha256: of its bytes; empty: unknown.
    """

    __pydantic_config__: ClassVar = STRICT

    path: str
    samples: Count
    bytes: Count
    sha256: str = ""


@dataclass(frozen=True)
class Shard(ShardEntry):
    """One tar, as this machine knows it; or a virtual one, of files in a folder.

    Args:
        members: hash of its members' names, sizes and times where no SHA-256 is known; not written.
        files: of a virtual one, its members; not written.
    """

    members: str = field(default="", compare=False)
    files: FolderFiles | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class ManifestEntries:
    """What `manifest.json` says of a set.

    Args:
        name: as results call it.
        role: `id`, `covariate` (ID in another style) or `ood`.
        class_names: name of each `.cls` integer; empty for unlabelled sets.
        orientation: `exif`: pictures are set upright as their EXIF says; `ignore`: they are taken as they are stored,
            as by torchvision's ImageFolder, under which published numbers were made.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    role: Role
    shards: Annotated[tuple[ShardEntry, ...], NOT_EMPTY]
    class_names: tuple[str, ...]
    licence: str = ""
    source: str = ""
    protocol: str = ""
    orientation: Orientation = "ignore"


@dataclass(frozen=True)
class Manifest(ManifestEntries):
    """A named stream of pictures.

    Where its bytes come from is never read from the file: whoever wrote a manifest could otherwise make this machine
    read other folders or run commands (`pipe:`).

    Args:
        root: folder that the shards' paths start from; not written.
        origins: of a remote set, where each shard comes from, by its path; not written.
        passed_over: of a folder of pictures, what else it holds, counted by ending; not written.
    """

    shards: tuple[Shard, ...]
    class_names: tuple[str, ...] = ()
    root: Path = field(default=Path(), compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    passed_over: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def n_samples(self) -> int:
        """Pictures in all shards together."""
        return sum(shard.samples for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Hash of what the set holds: shard names, counts and hashes, and whether pictures are set upright."""
        # a tar grows in steps of 10,240 bytes: names, counts and bytes alone would not tell two sets of pictures apart
        rows = [(shard.path, shard.samples, shard.bytes, shard.sha256 or shard.members) for shard in self.shards]
        content = [self.orientation, rows] if self.upright else rows
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def of_files(self) -> bool:
        """Whether its pictures are files of a folder, read where they lie."""
        return any(shard.files is not None for shard in self.shards)

    @property
    def upright(self) -> bool:
        """Whether pictures are turned as their EXIF says."""
        return self.orientation == "exif"

    def row_path(self, key: str) -> str:
        """What rows for people call a picture: the path of its file, or its key behind the set's name."""
        return str(Path(self.root, name_of(key))) if self.of_files else f"{self.name}: {key}"

    def container(self, shard: Shard) -> Path | FolderFiles:
        """What a shard's samples are read from, see :mod:`ood_lightning.data.shards.samples`: its tar, or files."""
        return self.path(shard) if shard.files is None else shard.files

    def path(self, shard: Shard) -> Path:
        """Where a tar lies on this machine; a remote one is fetched first, unless it was before."""
        if shard.path not in self.origins:
            return self.root / shard.path
        return remote.fetch(self.origins[shard.path], scanned, shard.bytes, shard.sha256)

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        entries = asdict(self)
        for shard in entries["shards"]:
            del shard["members"], shard["files"]

        order = ("name", "role", "licence", "source", "protocol", "orientation", "class_names", "shards")
        write_json(folder / "manifest.json", {key: entries[key] for key in order}, indent=2)


def plan(shards: Iterable[Shard], bins: int) -> list[list[Shard]]:
    """Which of `bins` workers reads which shards: the longest first into the lightest bin.

    A pure function of its arguments, so that every rank computes the same answer alone.

    Example:
        >>> [[s.path for s in b] for b in plan([Shard("a", 5, 0), Shard("b", 3, 0), Shard("c", 3, 0)], 2)]
        [['a'], ['b', 'c']]
    """
    loads = [0] * bins
    planned: list[list[Shard]] = [[] for _ in range(bins)]

    for shard in sorted(shards, key=lambda s: (-s.samples, s.path)):
        lightest = loads.index(min(loads))
        loads[lightest] += shard.samples
        planned[lightest].append(shard)

    return planned
