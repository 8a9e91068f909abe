"""No shard of a set counts twice: by another spelling of its name, by a link, or as a copy of its bytes."""

import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ood_lightning.data.remote import addresses
from ood_lightning.data.shards.manifest import Shard
from ood_lightning.errors import ManifestError
from ood_lightning.hashes import sha256_of


def refuse_twice(places: Iterable[str], where: str) -> None:
    """Refuse a shard that is named twice, also in two spellings such as `x.tar` and `./x.tar`.

    Args:
        places: paths or addresses of shards.
        where: they are named.
    """
    seen: set[str] = set()
    for shard in places:
        normal = posixpath.normpath(shard)
        if normal in seen:
            shown_as = addresses.redacted(shard)
            raise ManifestError(f"{where} lists the shard {shown_as!r} twice: its samples would count twice")
        seen.add(normal)


def refuse_copies(shards: Sequence[Shard], files: Sequence[Path], where: str) -> None:
    """Refuse two tars of the same bytes; only those are hashed whose members are alike."""
    alike = Counter((shard.bytes, shard.members) for shard in shards)
    candidates = [
        (shard.path, sha256_of(file))
        for shard, file in zip(shards, files, strict=True)
        if shard.samples and alike[shard.bytes, shard.members] > 1
    ]
    refuse_equal(candidates, where)


def refuse_equal(shards: Iterable[tuple[str, str]], where: str) -> None:
    """Refuse two shards of the same bytes.

    Args:
        shards: path or name, and SHA-256.
        where: they are named.
    """
    known: dict[str, str] = {}
    for shard, sha256 in shards:
        if (first := known.setdefault(sha256, shard)) != shard:
            raise ManifestError(f"{where} lists {shard!r}, a copy of {first!r}: its samples would count twice")


def refuse_one_file(files: Sequence[Path], where: str) -> None:
    """Refuse two names of one file, such as a link to it."""
    seen: set[tuple[int, int]] = set()
    for file in files:
        state = file.stat()
        if (state.st_dev, state.st_ino) in seen:
            raise ManifestError(f"{where} lists {file} twice, by another name: its samples would count twice")
        seen.add((state.st_dev, state.st_ino))
