"""What a text names: a picture, a folder of pictures, or a set of shards; and the pictures of it, one after the other.

Memory does not grow with the number of pictures: files of a folder are listed as they are asked for (the names of one
folder at a time), and so are the members of a tar (the names of one tar at a time), which is never unpacked.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.pack.listings import Location, Refused
from ood_lightning.data.shards.folders import refuse_tars
from ood_lightning.data.shards.formats import MAX_BYTES, PICTURE_ENDINGS, image_names
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.prefetch import ReaderAlive, prefetch
from ood_lightning.data.shards.read_manifest import COMPRESSED_NAMES, index, local_set, read_manifest
from ood_lightning.data.shards.reader import check_hash
from ood_lightning.data.shards.samples import examined
from ood_lightning.data.shards.tars import Fault
from ood_lightning.errors import ShardContentError, ShardCountError, SourceError
from ood_lightning.places import FOLDER, expand, is_remote, locate

MANIFEST = "manifest.json"


class Member(NamedTuple):
    """A picture of a shard.

    Attributes:
        path: as rows call it, `SET: KEY`.
        location: of its bytes, within a tar of this machine.
        upright: it is turned as its EXIF says.
    """

    path: str
    location: Location
    upright: bool


def named(source: str | os.PathLike[str]) -> Path | Manifest:
    """The picture, folder of pictures or set that a person names.

    What is there as it is written is meant; else `~`, variables, `builtin:`, `folder:`, remote sources and brace lists
    of tars are understood. Nothing of a set is read yet but its manifest, or its headers where it has none.

    Raises:
        SourceError: nothing lies there, or a folder holds tars and no manifest.
        ManifestError, ShardContentError: a set is damaged.
    """
    text = os.fspath(source)
    path = Path(text)
    there = os.path.lexists(path)
    if not there and (is_remote(text) or _is_list_of_tars(text)):
        return read_manifest(text)
    if not there:
        path = locate(text)
    if not path.exists():
        raise SourceError(f"there is no file or folder {path}")

    if path.is_dir():
        if text.startswith(FOLDER) and not there:
            return path
        if not (path / MANIFEST).is_file():
            refuse_tars(path, text)
            return path
        path = path / MANIFEST
    if path.name == MANIFEST:
        return local_set(path, whole=True)
    return index([path]) if path.name.lower().endswith((".tar", *COMPRESSED_NAMES)) else path


def _is_list_of_tars(text: str) -> bool:
    return "{" in text and all(part.lower().endswith(".tar") for part in expand(text))


def pictures_of(source: Path | Manifest) -> Iterator[str | Member]:
    """All pictures of what is :func:`named`, see :func:`files_at` and :func:`members`."""
    if isinstance(source, Manifest):
        yield from members(source, source.shards)
    else:
        yield from files_at(source, Counter())


def members(manifest: Manifest, shards: Sequence[Shard]) -> Iterator[Member]:
    """The pictures of some shards of a set, in order; the next shard is fetched while one is listed.

    One that cannot be read as it should, such as a link, is among them; reading it says why not.

    Args:
        manifest: the set, whose name is the one that rows have.
        shards: of it.

    Raises:
        ShardContentError: a shard is damaged, or not the one that the manifest describes.
        ShardCountError: it holds another number of pictures.
        SourceError: it cannot be fetched.
    """
    for shard, container in prefetch(manifest.container, shards, ReaderAlive()):
        if isinstance(container, Path):
            check_hash(manifest, shard, container)

        n_samples = 0
        faulty = set[str]()  # keys that have their row already
        for part in examined(container):
            if isinstance(part, Fault):
                if not part.where:
                    raise ShardContentError(f"{container} {part.what}")
                if part.where not in faulty:
                    yield Member(manifest.row_path(part.where), Refused(part.what), manifest.upright)
                faulty.add(part.where)
                continue

            n_samples += 1
            if part.key not in faulty:
                kept = min(part.picture.size, MAX_BYTES + 1)  # no more of a larger one is needed to refuse it
                yield Member(manifest.row_path(part.key), part.picture._replace(size=kept), manifest.upright)

        if n_samples != shard.samples:
            raise ShardCountError(f"set {manifest.name!r}, shard {container}", n_samples, shard.samples)


def files_at(path: Path, passed_over: Counter[str]) -> Iterator[str]:
    """A file, also one that is not there, or the pictures of a folder and its subfolders, in the order of their paths.

    Links to folders are followed, each folder once.

    Args:
        path: of a file or folder.
        passed_over: takes the endings of a folder's other files.

    Raises:
        SourceError: a folder has no picture, or may not be read.
    """
    if not path.is_dir():
        yield str(path)
        return

    n_pictures = 0
    for file in _below(str(path), "", set(), passed_over):
        n_pictures += 1
        yield file.removeprefix("./") if str(path) == "." else file

    if not n_pictures:
        endings = ", ".join(sorted(PICTURE_ENDINGS))
        raise SourceError(f"{path} holds no pictures (looked for {endings} in it and its subfolders)")


def _below(folder: str, prefix: str, seen: set[str], passed_over: Counter[str]) -> Iterator[str]:
    """Pictures below a folder, by name; those of a subfolder come where its name does.

    Args:
        folder: its path.
        prefix: of names below it, as they are called from the outermost folder.
        seen: folders that were visited; takes this one.
        passed_over: takes the endings of other files.
    """
    real = os.path.realpath(folder)
    if real in seen:  # a link back up, or a second way to a folder
        return
    seen.add(real)

    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(f"the folder {error.filename} cannot be read: {error.strerror}") from None

    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith(".") and not entry.name.startswith("._"):  # a fork is counted as such
            passed_over["hidden folders" if entry.is_dir() else "hidden files"] += 1
        elif entry.is_dir():
            yield from _below(entry.path, f"{name}/", seen, passed_over)
        elif not list(image_names([name], passed_over)):
            continue
        elif entry.is_file():
            yield entry.path
        else:  # a broken link, a pipe
            passed_over["no plain file"] += 1
