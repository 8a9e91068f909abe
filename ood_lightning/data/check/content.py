"""What is wrong with sets: damage, counts, labels, undecodable pictures, the same bytes twice. Needs no torch.

Of each picture 24 bytes are kept, whatever its size: a hash and where it lies.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ood_lightning.data.cards.compare import matching
from ood_lightning.data.pack.classes import class_folders, in_order
from ood_lightning.data.shards.decode import suffix_of
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.data.shards.members import Located, located
from ood_lightning.data.shards.processes import Tick, parallel_map
from ood_lightning.errors import ShardContentError, SourceError
from ood_lightning.hashes import sha256_of
from ood_lightning.plurals import many
from ood_lightning.progress import bar


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        set: name of the set.
        kind: `shard`, `label`, `key`, `picture`, `duplicate`, `near` or `card`.
        where: shard, key or class.
        what: in words.
    """

    set: str
    kind: str
    where: str
    what: str


@dataclass
class ShardContent:
    """What one shard holds.

    Args:
        path: as in the manifest.
        digests: 16 bytes of a hash for each picture, in order.
        labels: pictures of each class; -1: none.
        folders: class numbers of the pictures in each folder.
        problems: what is wrong.
    """

    path: str
    digests: bytes = b""
    labels: Counter[int] = field(default_factory=Counter)
    folders: dict[str, set[int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class SetContent:
    """What a set holds.

    Args:
        manifest: what it should hold.
        role: the side it is on here.
        shards: what each shard holds.
        matches: cards and protocols whose counts it has, `NAME` or `NAME@PROTOCOL`.
        problems: what is wrong with the set as a whole.
    """

    manifest: Manifest
    role: Role
    shards: list[ShardContent]
    matches: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def labels(self) -> Counter[int]:
        """Pictures of each class."""
        return sum((shard.labels for shard in self.shards), Counter())

    @property
    def n_samples(self) -> int:
        """Pictures that were found."""
        return sum(len(shard.digests) // 16 for shard in self.shards)


def content(sets: Sequence[tuple[Manifest, Role]], workers: int) -> list[SetContent]:
    """Read every byte of the sets once or twice.

    Args:
        sets: with the role that each has here.
        workers: processes.
    """
    tasks = [(manifest, shard) for manifest, _ in sets for shard in manifest.shards]
    with bar(sum(shard.samples for _, shard in tasks), "check", "img") as progress_bar:
        found = iter(parallel_map(_shard, tasks, workers, progress_bar))
    contents = [SetContent(manifest, role, [next(found) for _ in manifest.shards]) for manifest, role in sets]
    for of_set in contents:
        of_set.problems += _labels(of_set)
        of_set.matches = matching(of_set.n_samples, len([label for label in of_set.labels if label >= 0]))
    return contents


def _shard(task: tuple[Manifest, Shard], on_progress: Tick) -> ShardContent:
    manifest, shard = task
    found = ShardContent(shard.path)
    path = manifest.path(shard)

    def wrong(kind: str, where: str, what: str) -> None:
        found.problems.append(Problem(manifest.name, kind, where, what))

    try:
        if differs := _outside(path, shard):
            wrong("shard", shard.path, differs)
    except FileNotFoundError:
        wrong("shard", shard.path, "is missing")
        return found
    except OSError as error:
        wrong("shard", shard.path, f"cannot be read: {error.strerror}")
        return found
    digests, keys = bytearray(), set[str]()
    try:
        for sample in located(path):
            if sample.key in keys:
                wrong("key", f"{shard.path} {sample.key}", "comes twice")
            keys.add(sample.key)
            data = f"{path} {sample.key}".encode()  # where there are no bytes: nothing else has the same
            try:
                data = sample.picture.read()
                suffix_of(data)
            except (ValueError, OSError) as error:
                wrong("picture", f"{shard.path} {sample.key}", f"cannot be decoded: {error}")
            try:
                _count(found, _label(sample), _path(sample))
            except (ValueError, OSError) as error:
                wrong("label", f"{shard.path} {sample.key}", str(error))
            digests += hashlib.blake2b(data, digest_size=16).digest()
            on_progress(1)
    except ShardContentError as error:
        wrong("shard", shard.path, str(error))
    found.digests = bytes(digests)
    if len(digests) // 16 != shard.samples:
        wrong("shard", shard.path, f"holds {many(len(digests) // 16, 'picture')}, the manifest says {shard.samples}")
    return found


def _outside(path: Path, shard: Shard) -> str:
    """In what a shard's file differs from the manifest; empty: in nothing."""
    size = path.stat().st_size
    if size != shard.bytes:
        return f"has {size} bytes, the manifest says {shard.bytes}"
    digest = sha256_of(path) if shard.sha256 else ""
    if digest != shard.sha256:
        return f"has SHA-256 {digest[:12]}..., the manifest says {shard.sha256[:12]}..."
    return ""


def _label(sample: Located) -> int:
    if sample.label is None:
        return -1
    told = sample.label.read()
    try:
        return int(told)
    except ValueError:
        raise ValueError(f"its .cls cannot be read as an integer: {told[:20]!r}") from None


def _path(sample: Located) -> str:
    """What the picture was called before it was packed."""
    try:
        said = json.loads(sample.about.read()) if sample.about else None
    except ValueError as error:
        raise ValueError(f"its .json cannot be read: {error}") from None
    return str(said["path"]) if isinstance(said, dict) and "path" in said else sample.key


def _count(found: ShardContent, label: int, path: str) -> None:
    found.labels[label] += 1
    folder, slash, _ = path.rpartition("/")
    if slash and label != -1:
        found.folders.setdefault(folder, set()).add(label)


def _labels(of_set: SetContent) -> list[Problem]:
    """Range of the labels, and whether folders of pictures and class numbers go together, in one order."""
    name, names = of_set.manifest.name, of_set.manifest.class_names
    labels = of_set.labels
    found = []
    outside = sorted(n for n in labels if n < -1 or (names and n >= len(names)))
    if outside:
        pictures = sum(labels[n] for n in outside)
        found.append(
            f"{many(pictures, 'picture')} with a label such as {outside[0]}: class_names go from 0 to {len(names) - 1}"
        )
    if names and labels[-1]:
        found.append(
            f"{many(labels[-1], 'picture')} without a class, though the set has {many(len(names), 'class name')}"
        )
    found += _order(_class_numbers(of_set), names)
    return [Problem(name, "label", "classes", what) for what in found]


def _class_numbers(of_set: SetContent) -> dict[str, int]:
    """The number of each class folder; empty where folders are no classes: a list or table numbered the pictures."""
    numbers: dict[str, set[int]] = {}
    for shard in of_set.shards:
        for folder, some in shard.folders.items():
            numbers.setdefault(folder, set()).update(some)
    classes: dict[str, set[int]] = {}
    try:
        named = class_folders([f"{folder}/" for folder in numbers])
    except SourceError:  # pictures beside folders
        return {}
    for called, some in zip(named, numbers.values(), strict=True):
        classes.setdefault(called or "", set()).update(some)
    label = {folder: min(some) for folder, some in classes.items()}
    one_each = all(len(some) == 1 for some in classes.values()) and len(set(label.values())) == len(label)
    return label if one_each else {}


def _order(label: Mapping[str, int], names: Sequence[str]) -> list[str]:
    """Where folders that are numbers, or are called as classes are, have the labels of others."""
    called = [_plain(name) for name in names]
    for folder, number in label.items():
        if number < len(called) and _plain(folder) in called and _plain(folder) != called[number]:
            return [
                f"the names of classes and folders do not run alike: folder {folder!r} has label {number}, which "
                f"class_names calls {names[number]!r}; {names[called.index(_plain(folder))]!r} is "
                f"{called.index(_plain(folder))} there"
            ]
    by_label = sorted(label, key=lambda folder: label[folder])
    if all(folder.isascii() and folder.isdigit() for folder in label) and by_label != in_order(by_label, "number"):
        wrong = next(a for a, b in zip(by_label, in_order(by_label, "number"), strict=True) if a != b)
        return [
            f"the folders are numbers, but the labels do not run with them: folder {wrong!r} has label {label[wrong]}. "
            f"They seem to be sorted as text."
        ]
    return []


def _plain(name: str) -> str:
    """A name without case, underscores and a number before it, as in `001.Black_footed_Albatross`."""
    return re.sub(r"[\W_]+", " ", re.sub(r"^\d+\.", "", name)).strip().casefold()
