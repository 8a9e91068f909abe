"""Pictures with the same bytes, within a set and across sets. Needs no torch."""

from array import array
from collections.abc import Sequence

from ood_lightning.data.check.content import SetContent
from ood_lightning.data.shards.members import located

Place = tuple[int, int, int]  # a picture: its set, shard and position


def duplicates(contents: Sequence[SetContent]) -> list[list[Place]]:
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


def key_at(contents: Sequence[SetContent], wanted: Sequence[Place]) -> dict[Place, str]:
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
