"""A tar to its samples, undecoded: webdataset's only door.

Nothing but image decoders runs on what comes out of a tar: webdataset's own `.decode()` would execute pickles.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import webdataset as wds

from ood_lightning.data.shards.tars import IMAGE_SUFFIXES, class_number, last_member
from ood_lightning.errors import ShardContentError


class Sample(NamedTuple):
    """The members of a tar that share a key: the key, the encoded image and its class (-1: unknown)."""

    key: str
    data: bytes
    label: int


def read_samples(path: Path) -> Iterator[Sample]:
    """Samples of one tar in order, undecoded.

    Raises:
        ShardContentError: the tar is damaged, a key comes twice, or a picture or class is not where it can be read.
    """
    seen: set[str] = set()

    try:
        for member in wds.DataPipeline(wds.SimpleShardList([str(path)]), wds.tarfile_to_samples()):
            key = member["__key__"]
            if key in seen:  # `k.jpg, j.jpg, k.cls` would be three samples, and the class of k lost
                raise ShardContentError(
                    f"{path}: the key {key!r} comes twice. Keys must differ, and the members of a sample lie side by "
                    f"side (pack with `tar --sort=name`)."
                )
            seen.add(key)
            yield from _sample(path, key, member)
    except ShardContentError:
        raise
    except Exception as error:  # webdataset raises whatever tarfile met, with its stream and the path added
        cause = str(error.args[0] if error.args else error).partition(" @ <")[0]
        name = last_member(path)
        where = "" if name is None else f", its last legible member is {name!r}"
        raise ShardContentError(f"{path} cannot be read as a tar of pictures{where}: {cause}") from error


def _sample(path: Path, key: str, member: dict[str, Any]) -> Iterator[Sample]:
    """What webdataset read under one key as a sample, if it holds an image."""
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in member), None)
    if suffix is None:
        if dotted := [name for name in member if name.rpartition(".")[2] in IMAGE_SUFFIXES]:
            # webdataset ends a key at the first dot, so `a.v2.jpg` would be passed over
            raise ShardContentError(
                f"{path}: sample {key!r} has a picture under {dotted[0]!r} only: a name may have one dot, before its "
                f"ending"
            )
        return

    try:
        label = class_number(member.get("cls", b"-1"))
    except ValueError as error:
        raise ShardContentError(f"{path}: sample {key!r}: {error}") from None
    yield Sample(key, member[suffix], label)
