"""A shard to its samples, undecoded. Nothing but image decoders runs on what comes out of it: no pickle is opened.

Here tars and folders of files part: whoever reads a shard does so through :func:`examined`, :func:`located` or
:func:`read_samples`, of what `Manifest.container` gives for it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.shards import tars
from ood_lightning.data.shards.folder_files import FolderFiles
from ood_lightning.data.shards.tars import Fault, Located, label_of
from ood_lightning.errors import ShardContentError


class Sample(NamedTuple):
    """One image of a shard: of a tar the members that share a key, of a folder a file.

    Attributes:
        key: of the members; of a file its relative path.
        data: the encoded image; empty where a file of its own cannot be read.
        label: its class; -1: unknown.
        unread: why it cannot be read.
    """

    key: str
    data: bytes
    label: int
    unread: str = ""


def examined(container: Path | FolderFiles) -> Iterator[Located | Fault]:
    """Samples of a shard in order, and between them what keeps it from being read as one.

    Args:
        container: a tar (see :func:`ood_lightning.data.shards.tars.examined`), or files of a folder, of which those
            are faults that are gone or were changed.
    """
    return container.examined() if isinstance(container, FolderFiles) else tars.examined(container)


def located(container: Path | FolderFiles) -> Iterator[Located]:
    """Samples of a shard in order; those before a fault come first.

    Raises:
        ShardContentError: the first of the faults that :func:`examined` finds.
    """
    return tars.sound(container, examined(container))


def read_samples(container: Path | FolderFiles) -> Iterator[Sample]:
    """Samples of a shard in order, undecoded.

    Raises:
        ShardContentError: the shard has a fault (:func:`examined`), or a class is no integer.
    """
    for sample in located(container):
        try:
            data, label, unread = sample.picture.read(), label_of(sample), ""
        except (ValueError, OSError) as error:
            if not isinstance(container, FolderFiles):
                raise ShardContentError(f"{container}: {sample.key!r} cannot be read: {error}") from None
            data, label, unread = b"", -1, f"{getattr(error, 'strerror', None) or error}"
        yield Sample(sample.key, data, label, unread)
