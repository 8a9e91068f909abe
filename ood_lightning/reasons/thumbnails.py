"""Pictures of a set by the rows of their features, read once more, and small copies of them."""

import io
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from PIL import Image

from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.samples import examined
from ood_lightning.data.shards.tars import Fault, Located
from ood_lightning.errors import ShardContentError, UserError, first_line

SIDE = 144  # pixels of the longer side; a page shows half of it, sharp on any screen
QUALITY = 62  # of WebP: some 3 kB a picture


class Opened(NamedTuple):
    """A picture of a row.

    Attributes:
        row: of the features.
        image: None where it cannot be read.
        error: why.
    """

    row: int
    image: Image.Image | None
    error: str = ""


Reader = Callable[[Collection[int]], Iterator[Opened]]


@dataclass(frozen=True)
class ShownSet:
    """A set whose pictures a page may show.

    Args:
        images: its features.
        reader: of pictures by the rows of their features; None: from the shards of its manifest.
    """

    images: FeatureSet
    reader: Reader | None = None

    @property
    def name(self) -> str:
        """As results call it."""
        return self.images.features.name

    def opened(self, rows: Collection[int]) -> Iterator[Opened]:
        """The pictures of some rows, in any order."""
        if self.reader is not None:
            return self.reader(rows)
        return pictures_of_rows(self.images.manifest, rows, self.images.features.bad)


def pictures_of_rows(manifest: Manifest, rows: Collection[int], bad: Sequence[str]) -> Iterator[Opened]:
    """Decoded images by the row of their features; shards that hold none of them are not opened.

    A picture that cannot be read any more keeps no other one away.

    Args:
        manifest: of the set.
        rows: of the features.
        bad: samples without features, as `shard key: reason`.
    """
    start = 0  # row of the shard's first feature

    for shard in manifest.shards:
        bad_here = [line for line in bad if line.startswith(f"{shard.path} ")]
        end = start + shard.samples - len(bad_here)
        due = {row for row in rows if start <= row < end}
        if due:
            yield from _of_shard(manifest, shard, due, start, bad_here)
        start = end


def _of_shard(manifest: Manifest, shard: Shard, due: set[int], start: int, bad: list[str]) -> Iterator[Opened]:
    """The pictures of some rows of a shard, whose first feature is row `start`."""
    left = set(due)
    rows = count(start)
    error = "its shard holds fewer pictures than its features say"

    try:
        for sample in examined(manifest.container(shard)):
            key = sample.where if isinstance(sample, Fault) else sample.key
            if not key:  # of the tar itself
                error = f"{shard.path} {sample.what}" if isinstance(sample, Fault) else error
                break
            if any(line.startswith(f"{shard.path} {key}: ") for line in bad):
                continue

            row = next(rows)
            if row in left:
                left.discard(row)
                yield _opened(row, sample, manifest.upright)
            if not left:
                return
    except (UserError, OSError, ValueError) as cause:
        error = first_line(cause)

    yield from (Opened(row, None, error) for row in sorted(left))


def _opened(row: int, sample: Located | Fault, upright: bool) -> Opened:
    """The picture of a sample, or why there is none."""
    if isinstance(sample, Fault):
        return Opened(row, None, sample.what)
    try:
        return Opened(row, decode(sample.picture.read(), upright=upright))
    except (OSError, ValueError) as error:
        return Opened(row, None, first_line(error))


def images_at(manifest: Manifest, rows: Collection[int], bad: Sequence[str]) -> dict[int, Image.Image]:
    """All of these images, by the row of their features; see :func:`pictures_of_rows`.

    Args:
        manifest: of the set.
        rows: of the features; shards that hold none of them are not read.
        bad: samples without features, as `shard key: reason`.

    Raises:
        ShardContentError: one can no longer be read.
    """
    opened = list(pictures_of_rows(manifest, rows, bad))
    if errors := [one.error for one in opened if one.image is None]:
        raise ShardContentError(f"set {manifest.name!r}: {errors[0]}")
    return {one.row: one.image for one in opened if one.image is not None}


def thumbnail(image: Image.Image) -> str:
    """A small copy as WebP in base64, without metadata."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return b64encode(buffer.getvalue()).decode()
