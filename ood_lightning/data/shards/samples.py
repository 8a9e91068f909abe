"""A tar to its samples, undecoded. Nothing but image decoders runs on what comes out of it: no pickle is opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.shards.tars import label_of, located
from ood_lightning.errors import ShardContentError


class Sample(NamedTuple):
    """The members of a tar that share a key: the key, the encoded image and its class (-1: unknown)."""

    key: str
    data: bytes
    label: int


def read_samples(path: Path) -> Iterator[Sample]:
    """Samples of one tar in order, undecoded.

    Raises:
        ShardContentError: the tar has a fault (:func:`ood_lightning.data.shards.tars.examined`), or a class is no
            integer.
    """
    for sample in located(path):
        try:
            yield Sample(sample.key, sample.picture.read(), label_of(sample))
        except (ValueError, OSError) as error:
            raise ShardContentError(f"{path}: {sample.key!r} cannot be read: {error}") from None
