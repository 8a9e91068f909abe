"""Manifest: what a set holds. Counts, bytes and hashes per shard; for the set its role, licence and class names.

A manifest is a file `manifest.json` beside the shards. A set without one is counted from its tar headers.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.remote import addresses
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.tars import scanned
from ood_lightning.errors import ManifestError, RefusedError, SourceError
from ood_lightning.places import expand, is_remote, locate
from ood_lightning.progress import bar

Role = Literal["id", "covariate", "ood"]


@dataclass(frozen=True)
class Shard:
    """One tar.

    Args:
        path: relative to the manifest.
        samples: pictures in it.
        bytes: its size.
        sha256: of its bytes; empty: unknown.
        members: hash of its members' names, sizes and times where no SHA-256 is known; not written.
    """

    path: str
    samples: int
    bytes: int
    sha256: str = ""
    members: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.path, str):
            raise ValueError(f"a shard's path is {self.path!r}, expected text")
        for name in ("samples", "bytes"):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 0:
                raise ValueError(f"shard {self.path!r}: {name} is {count!r}, expected a whole number")


@dataclass(frozen=True)
class Manifest:
    """A named stream of pictures.

    Args:
        name: as results call it.
        role: `id`, `covariate` (ID under another style) or `ood`.
        class_names: name of each `.cls` integer; empty for unlabelled sets.
        root: folder that the shards' paths start from; not written.
        origins: of a remote set, where each shard comes from, by its path; not written.
    """

    name: str
    role: Role
    shards: tuple[Shard, ...]
    class_names: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    protocol: str = ""
    root: Path = field(default=Path(), compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def n_samples(self) -> int:
        """Pictures in all shards together."""
        return sum(shard.samples for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Hash of what the set holds: shard names, counts and hashes."""
        # a tar grows in steps of 10,240 bytes: names, counts and bytes alone would not tell two sets of pictures apart
        rows = [(shard.path, shard.samples, shard.bytes, shard.sha256 or shard.members) for shard in self.shards]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    def path(self, shard: Shard) -> Path:
        """Where a shard lies on this machine; a remote one is fetched first, unless it was before."""
        if shard.path not in self.origins:
            return self.root / shard.path
        return remote.fetch(self.origins[shard.path], scanned, shard.bytes, shard.sha256)

    def write(self, folder: Path) -> Path:
        """Write `manifest.json` into `folder`."""
        entries = asdict(self)
        del entries["root"], entries["origins"]
        for shard in entries["shards"]:
            del shard["members"]
        order = ("name", "role", "licence", "source", "protocol", "class_names", "shards")
        path = folder / "manifest.json"
        write_json(path, {key: entries[key] for key in order}, indent=2)
        return path


def read_manifest(source: str, role: Role = "id", *, whole: bool = True) -> Manifest:
    """The set behind `source`.

    Args:
        source: a folder that holds `manifest.json`, that file itself, or tars by a brace list (`train-{000..146}.tar`),
            whose samples are then counted. `builtin:` paths are allowed, and remote ones (`data.remote`); of a remote
            set with a manifest nothing else is fetched yet, remote tars without one are fetched to be counted.
        role: of tars without a manifest; a manifest says its own.
        whole: refuse a manifest whose shards are missing or of another size.

    Raises:
        SourceError: nothing lies there, or a shard is missing.
        ManifestError: the manifest is unreadable, or says other sizes than the shards have.
    """
    if is_remote(source):
        return _remote_tars(source, role) if source.startswith("pipe:") or _is_tar(source) else _remote_set(source)
    path = locate(source)
    if path.is_dir():
        path = path / "manifest.json"
        if not path.is_file():
            raise SourceError(f"{path.parent} holds no manifest.json{_instead(path.parent, source)}")
    if path.name == "manifest.json":
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SourceError(f"there is no {path}") from None
        except UnicodeDecodeError as error:
            raise ManifestError(f"{path} is no manifest: {error}") from None
        manifest = replace(_parsed(text, str(path)), root=path.parent)
        if whole:
            _check_sizes(manifest, path)
        return manifest
    paths = [locate(part) for part in expand(source)]
    if paths == [path] and path.suffix != ".tar" and not path.exists():
        raise SourceError(f"there is no set {path}: expected a folder with a manifest.json, or tars by a brace list")
    if not paths:
        raise SourceError(f"{source!r} names no tar: its range runs backwards")
    return index(paths, role=role)


def _instead(folder: Path, source: str) -> str:
    """What to do with a folder that is no set."""
    if (folder / ".pack").is_dir():
        return ": its making has not ended. Give the same command again, which goes on, and mend what it names"
    if any(folder.glob("*.tar")):
        return f": name its tars, e.g. {source}/shard-{{000..009}}.tar"
    return f" and no tars. To make shards of pictures: `data pack {source} --out ...`"


def _remote_set(source: str) -> Manifest:
    if addresses.file_name(source) != "manifest.json":
        source = addresses.below(source, "manifest.json")
    try:
        text = remote.text(source)
    except SourceError as error:
        if source.startswith("http") and not isinstance(error, RefusedError):
            raise
        raise SourceError(
            f"{error} (A set without manifest is named by its tars: .../shard-{{000..009}}.tar)"
        ) from None
    manifest = _parsed(text, addresses.redacted(source))
    return replace(manifest, origins={shard.path: addresses.beside(source, shard.path) for shard in manifest.shards})


def _is_tar(source: str) -> bool:
    return addresses.file_name(source).endswith(".tar")


def _remote_tars(source: str, role: Role) -> Manifest:
    sources = expand(source)
    if not sources:
        raise SourceError(f"{addresses.redacted(source)!r} names no tar: its range runs backwards")
    names = [addresses.file_name(part) for part in sources]
    if len(set(names)) < len(names):  # of two folders, or commands that name no tar
        names = [f"{i:06d}-{name}" for i, name in enumerate(names)]
    rows = []
    with bar(len(sources), f"fetch {names[0]} ...", "shard", delay_s=2) as progress_bar:
        for part, name in zip(sources, names, strict=True):
            path = remote.fetch(part, scanned)
            rows.append(replace(_counted(path, path.parent), path=name))
            progress_bar.update()
    folder = "pipe" if source.startswith("pipe:") else addresses.file_name(sources[0].rpartition("/")[0])
    name = _stem(Path(addresses.file_name(sources[0]))) or folder
    return Manifest(name, role, tuple(rows), origins=dict(zip(names, sources, strict=True)))


def _stem(path: Path) -> str:
    """What the tars of a set are called, without their numbers."""
    return path.stem.rstrip("-_.0123456789")


def _parsed(text: str, place: str) -> Manifest:
    try:
        entries = json.loads(text)
        shards = tuple(Shard(**shard) for shard in entries["shards"])
        # not by who wrote the manifest: where bytes come from is the config's and the command line's to say
        own: dict[str, Any] = {"root": Path(), "origins": {}}
        manifest = Manifest(**{**entries, "shards": shards, "class_names": tuple(entries["class_names"])}, **own)
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{place} is no manifest: {error}. Expected the keys name, role, class_names, shards."
        ) from None
    if manifest.role not in get_args(Role):
        raise ManifestError(f"{place}: role {manifest.role!r} is none of {', '.join(get_args(Role))}")
    names = [shard.path for shard in shards]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise ManifestError(f"{place} lists the shard {twice[0]!r} twice: its samples would count twice")
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ManifestError(f"{place}: shard {name!r} lies outside the manifest's folder")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name):
            raise ManifestError(f"{place}: shard {name!r} is no path below the manifest's folder")
    return manifest


def _check_sizes(manifest: Manifest, path: Path) -> None:
    for shard in manifest.shards:
        file = manifest.path(shard)
        if not file.is_file():
            raise SourceError(f"set {manifest.name!r}: shard {file} is missing. Copy it again, or correct {path}.")
        if file.stat().st_size != shard.bytes:
            raise ManifestError(
                f"set {manifest.name!r}: {file} has {file.stat().st_size} bytes, the manifest says {shard.bytes}. "
                f"The shard is truncated or was changed: copy it again, or make the manifest anew."
            )


def index(paths: Sequence[Path], role: Role = "id") -> Manifest:
    """Manifest of tars that have none, from their headers (about 30 microseconds a sample).

    Args:
        paths: tars in order; names are taken relative to the first one's folder. The set is called as the first one,
            without its number, or as the folder.
        role: of the set.
    """
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise SourceError(
            f"no such shard: {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more" if missing[3:] else "")
        )
    root = paths[0].parent
    shards = tuple(_counted(path, root) for path in paths)
    return Manifest(name=_stem(paths[0]) or root.resolve().name, role=role, shards=shards, root=root)


def _counted(path: Path, root: Path) -> Shard:
    relative = path.relative_to(root) if path.is_relative_to(root) else path.resolve()
    samples, members = scanned(path)
    return Shard(path=str(relative), samples=samples, bytes=path.stat().st_size, members=members)


def plan(shards: Iterable[Shard], bins: int) -> list[list[Shard]]:
    """Which of `bins` workers reads which shards: the longest first into the lightest bin.

    A pure function of its arguments, so that every rank computes the same answer alone.

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
