"""What is wrong with sets: damage, counts, labels, undecodable pictures, the same bytes twice. Needs no torch.

Of each picture 24 bytes are kept, whatever its size: a hash and where it lies.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ood_lightning.data.against import matching
from ood_lightning.data.classes import in_order
from ood_lightning.data.manifest import Manifest, Role, Shard
from ood_lightning.data.members import located
from ood_lightning.data.pictures import suffix_of
from ood_lightning.data.workers import Tick, each
from ood_lightning.errors import ShardContentError
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
        folders: class numbers of each class folder.
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
    with bar(sum(shard.samples for _, shard in tasks), "check", "img") as shown:
        found = iter(each(_shard, tasks, workers, shown))
    contents = [SetContent(manifest, role, [next(found) for _ in manifest.shards]) for manifest, role in sets]
    for of_set in contents:
        of_set.problems += _labels(of_set)
        of_set.matches = matching(of_set.n_samples, len([label for label in of_set.labels if label >= 0]))
    return contents


def _shard(task: tuple[Manifest, Shard], tick: Tick) -> ShardContent:
    manifest, shard = task
    found = ShardContent(shard.path)
    path = manifest.path(shard)

    def wrong(kind: str, where: str, what: str) -> None:
        found.problems.append(Problem(manifest.name, kind, where, what))

    if not path.is_file():
        wrong("shard", shard.path, "is missing")
        return found
    size = path.stat().st_size
    if size != shard.bytes:
        wrong("shard", shard.path, f"has {size} bytes, the manifest says {shard.bytes}")
    elif shard.sha256 and (digest := sha256_of(path)) != shard.sha256:
        wrong("shard", shard.path, f"has SHA-256 {digest[:12]}..., the manifest says {shard.sha256[:12]}...")
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
            except ValueError as error:
                wrong("picture", f"{shard.path} {sample.key}", f"cannot be decoded: {error}")
            try:
                label = int(sample.label.read()) if sample.label else -1
                said = json.loads(sample.about.read()) if sample.about else None
            except ValueError as error:
                wrong("label", f"{shard.path} {sample.key}", f"its .cls or .json cannot be read: {error}")
            else:
                _count(found, label, str(said["path"]) if isinstance(said, dict) and "path" in said else sample.key)
            digests += hashlib.blake2b(data, digest_size=16).digest()
            tick(1)
    except ShardContentError as error:
        wrong("shard", shard.path, str(error))
    found.digests = bytes(digests)
    if len(digests) // 16 != shard.samples:
        wrong("shard", shard.path, f"holds {many(len(digests) // 16, 'picture')}, the manifest says {shard.samples}")
    return found


def _count(found: ShardContent, label: int, path: str) -> None:
    found.labels[label] += 1
    folder, slash, _ = path.partition("/")
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
    folders: dict[str, set[int]] = {}
    for shard in of_set.shards:
        for folder, numbers in shard.folders.items():
            folders.setdefault(folder, set()).update(numbers)
    found += _order(folders)
    return [Problem(name, "label", "classes", what) for what in found]


def _order(folders: Mapping[str, set[int]]) -> list[str]:
    label = {folder: min(numbers) for folder, numbers in folders.items()}
    if any(len(numbers) > 1 for numbers in folders.values()) or len(set(label.values())) < len(label):
        return []  # these folders are no classes: a list or table numbered the pictures
    by_label = sorted(label, key=lambda folder: label[folder])
    if all(folder.isascii() and folder.isdigit() for folder in label) and by_label != in_order(by_label, "number"):
        wrong = next(a for a, b in zip(by_label, in_order(by_label, "number"), strict=True) if a != b)
        return [
            f"the folders are numbers, but the labels do not run with them: folder {wrong!r} has label {label[wrong]}. "
            f"They seem to be sorted as text."
        ]
    return []


def duplicates(contents: Sequence[SetContent]) -> list[list[tuple[int, int, int]]]:
    """Groups of pictures with the same bytes, each picture as (set, shard, position)."""
    places = array("Q")
    digests = bytearray()
    for i, of_set in enumerate(contents):
        for j, shard in enumerate(of_set.shards):
            digests += shard.digests
            places.extend((i << 56) | (j << 32) | k for k in range(len(shard.digests) // 16))
    return [[(p >> 56, (p >> 32) & 0xFFFFFF, p & 0xFFFFFFFF) for p in group] for group in _equal(digests, places)]


def _equal(digests: bytearray, places: "array[int]") -> list[list[int]]:
    import numpy as np

    pairs = np.frombuffer(digests, dtype=">u8").reshape(-1, 2)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # stable: equal ones stay in their order
    same = (pairs[order][1:] == pairs[order][:-1]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2] + 1
    groups = [[places[n] for n in order[a:b]] for a, b in zip(starts, ends, strict=True)]
    return sorted(groups)


def key_at(contents: Sequence[SetContent], wanted: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int, int], str]:
    """`shard key` of pictures by their places; only headers are read again."""
    by_shard: dict[tuple[int, int], set[int]] = {}
    for i, j, k in wanted:
        by_shard.setdefault((i, j), set()).add(k)
    names = {}
    for (i, j), positions in by_shard.items():
        manifest = contents[i].manifest
        shard = manifest.shards[j]
        last = max(positions)
        for k, sample in enumerate(located(manifest.path(shard))):
            if k in positions:
                names[i, j, k] = f"{shard.path} {sample.key}"
            if k >= last:
                break
    return names
