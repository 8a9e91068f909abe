"""Images with the same bytes, within a set and across sets. Needs no torch."""

from array import array
from collections.abc import Sequence
from itertools import islice

from ood_lightning.data.check.content import DIGEST, SetContent
from ood_lightning.data.shards.samples import examined
from ood_lightning.data.shards.tars import Located

Place = tuple[int, int, int]  # an image: number of its set, of the shard in the set, and of the image in the shard


def duplicates(contents: Sequence[SetContent]) -> list[list[Place]]:
    """Groups of images with the same bytes, each image as (set, shard, position)."""
    # 8 bytes for each of millions of images, where a tuple takes 60: 8 bits for the set, 24 for the shard, 32 for the
    # image in it
    packed_places = array("Q")
    digests = bytearray()
    for i, of_set in enumerate(contents):
        for j, shard in enumerate(of_set.shards):
            digests += shard.digests
            packed_places.extend((i << 56) | (j << 32) | k for k in range(shard.n_images))

    groups = _equal(digests, packed_places)
    return [[(packed >> 56, (packed >> 32) & 0xFFFFFF, packed & 0xFFFFFFFF) for packed in group] for group in groups]


def _equal(digests: bytearray, places: "array[int]") -> list[list[int]]:
    """Places whose digests are equal, where there are at least two; sorted."""
    import numpy as np

    halves = np.frombuffer(digests, dtype=">u8").reshape(-1, DIGEST // 8)  # (n, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal ones stay in their order
    equals_next = (halves[order][1:] == halves[order][:-1]).all(axis=1)  # (n - 1,)

    # a run of True begins where the difference is 1, and ends where it is -1
    edges = np.flatnonzero(np.diff(np.concatenate(([False], equals_next, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2] + 1
    return sorted([places[n] for n in order[start:end]] for start, end in zip(starts, ends, strict=True))


def key_at(contents: Sequence[SetContent], places: Sequence[Place]) -> dict[Place, str]:
    """`shard key` of images by their places; only headers are read again."""
    positions_in: dict[tuple[int, int], set[int]] = {}
    for i, j, k in places:
        positions_in.setdefault((i, j), set()).add(k)

    keys: dict[Place, str] = {}
    for (i, j), positions in positions_in.items():
        manifest = contents[i].manifest
        shard = manifest.shards[j]
        parts = examined(manifest.container(shard))
        images = islice((part for part in parts if isinstance(part, Located)), max(positions) + 1)  # no more are needed
        keys |= {(i, j, k): f"{shard.path} {image.key}" for k, image in enumerate(images) if k in positions}
    return keys
