"""What is wrong with sets: damage, counts, labels, undecodable pictures, the same bytes twice. Needs no torch.

Of each picture 24 bytes are kept, whatever its size: a hash and where it lies.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ood_lightning.data.cards.compare import matching
from ood_lightning.data.check.labels import label_problems
from ood_lightning.data.shards.decode import suffix_of
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.data.shards.processes import parallel_map
from ood_lightning.data.shards.samples import examined
from ood_lightning.data.shards.tars import Fault, Located, label_of
from ood_lightning.hashes import sha256_of
from ood_lightning.plurals import many
from ood_lightning.progress import bar

DIGEST = 16  # bytes of an image's hash
MAX_JSON_BYTES = 2**20  # of a picture's `.json`


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
        digests: `DIGEST` bytes of a hash for each image, in order.
        labels: number of images of each class; -1: none.
        folders: class numbers of the images in each folder.
        problems: what is wrong.
    """

    path: str
    digests: bytes = b""
    labels: Counter[int] = field(default_factory=Counter)
    folders: dict[str, set[int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def n_images(self) -> int:
        """Images that were found in it."""
        return len(self.digests) // DIGEST


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
        """Number of images of each class."""
        return sum((shard.labels for shard in self.shards), Counter())

    @property
    def n_samples(self) -> int:
        """Images that were found."""
        return sum(shard.n_images for shard in self.shards)


def content(sets: Sequence[tuple[Manifest, Role]], workers: int) -> list[SetContent]:
    """Read every byte of the sets once or twice.

    Args:
        sets: with the role that each has here.
        workers: processes.
    """
    # each with its own shard alone: a folder's list of files is not sent with every one of its shards
    tasks = [(replace(manifest, shards=(shard,)), shard) for manifest, _ in sets for shard in manifest.shards]
    with bar(sum(shard.samples for _, shard in tasks), "check", "img") as progress_bar:
        shards = iter(parallel_map(_read_shard, tasks, workers, progress_bar))
    contents = [SetContent(manifest, role, [next(shards) for _ in manifest.shards]) for manifest, role in sets]

    for of_set in contents:
        folders = [shard.folders for shard in of_set.shards]
        texts = label_problems(of_set.labels, folders, of_set.manifest.class_names)
        of_set.problems += [Problem(of_set.manifest.name, "label", "classes", text) for text in texts]
        if not of_set.n_samples:
            of_set.problems.append(Problem(of_set.manifest.name, "shard", "set", "holds no pictures"))
        of_set.matches = matching(of_set.n_samples, sum(label >= 0 for label in of_set.labels))
    return contents


def _read_shard(task: tuple[Manifest, Shard], on_progress: Callable[[int], object]) -> ShardContent:
    """Compare a shard's file with the manifest, then look at each image in it."""
    manifest, shard = task
    of_shard = ShardContent(shard.path)
    container = manifest.container(shard)

    def report(kind: str, where: str, what: str) -> None:
        of_shard.problems.append(Problem(manifest.name, kind, where, what))

    try:
        difference = _difference(container, shard) if isinstance(container, Path) else ""
    except OSError as error:
        report(
            "shard",
            shard.path,
            "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}",
        )
        return of_shard
    if difference:
        report("shard", shard.path, difference)

    digests = bytearray()
    for image in examined(container):
        if isinstance(image, Fault):
            report("key" if image.where else "shard", f"{shard.path} {image.where}".strip(), image.what)
            continue

        where = f"{shard.path} {image.key}"
        data = f"{container} {image.key}".encode()  # stands for bytes that cannot be read: no other image has the same
        try:
            data = image.picture.read()
            suffix_of(data)
        except (ValueError, OSError) as error:
            report("picture", where, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        try:
            _count_label(of_shard, image)
        except (ValueError, OSError) as error:
            report("label", where, str(error))

        digests += hashlib.blake2b(data, digest_size=DIGEST).digest()
        on_progress(1)

    of_shard.digests = bytes(digests)
    if of_shard.n_images != shard.samples:
        report("shard", shard.path, f"holds {many(of_shard.n_images, 'picture')}, the manifest says {shard.samples}")
    return of_shard


def _difference(path: Path, shard: Shard) -> str:
    """In what a shard's file differs from the manifest; empty: in nothing."""
    size = path.stat().st_size
    if size != shard.bytes:
        return f"has {size} bytes, the manifest says {shard.bytes}"
    digest = sha256_of(path) if shard.sha256 else ""
    if digest != shard.sha256:
        return f"has SHA-256 {digest[:12]}..., the manifest says {shard.sha256[:12]}..."
    return ""


def _count_label(of_shard: ShardContent, image: Located) -> None:
    """Count the class of an image, and note the folder that it was packed from.

    Raises:
        ValueError: `.cls` is no integer, or `.json` is no JSON.
    """
    label = label_of(image)
    if image.metadata is not None and image.metadata.size > MAX_JSON_BYTES:
        raise ValueError(f"its .json has {image.metadata.size:,} bytes, more than any that is read")
    try:
        metadata = json.loads(image.metadata.read()) if image.metadata is not None else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its .json cannot be read: {error}") from None
    packed_from = str(metadata["path"]) if isinstance(metadata, dict) and "path" in metadata else image.key

    of_shard.labels[label] += 1
    folder, slash, _ = packed_from.rpartition("/")
    if slash and label != -1:
        of_shard.folders.setdefault(folder, set()).add(label)
