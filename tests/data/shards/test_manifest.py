"""Manifests as objects: their fingerprint, and who reads which shard."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ood_lightning.data.shards.manifest import Shard, plan
from ood_lightning.data.shards.read_manifest import read_manifest

SHAPES = st.lists(st.integers(0, 50), max_size=30)


def test_the_fingerprint_follows_the_content_not_the_place(sets: Path):
    manifest = read_manifest(str(sets / "train"))
    first, *others = manifest.shards
    assert replace(manifest, root=Path("/elsewhere"), licence="x").fingerprint == manifest.fingerprint
    for change in ({"samples": 1}, {"sha256": "00"}, {"path": "x.tar"}, {"bytes": 1}):
        assert replace(manifest, shards=(replace(first, **change), *others)).fingerprint != manifest.fingerprint
    assert replace(manifest, shards=tuple(others)).fingerprint != manifest.fingerprint


@given(SHAPES, st.integers(1, 12))
def test_plan_gives_every_shard_to_one_worker(samples: list[int], bins: int):
    shards = [Shard(f"{i:03d}", n, 0) for i, n in enumerate(samples)]
    planned = plan(shards, bins)
    assert len(planned) == bins
    assert sorted(s.path for share in planned for s in share) == [s.path for s in shards]
    assert plan(reversed(shards), bins) == planned


@given(SHAPES, st.integers(1, 5), st.integers(1, 4))
def test_plan_over_ranks_and_then_workers_gives_every_shard_once(samples: list[int], ranks: int, workers: int):
    shards = [Shard(f"{i:03d}", n, 0) for i, n in enumerate(samples)]
    read = [s.path for share in plan(shards, ranks) for part in plan(share, workers) for s in part]
    assert sorted(read) == [s.path for s in shards]


@given(SHAPES, st.integers(1, 12))
def test_no_worker_has_more_than_the_lightest_and_one_shard(samples: list[int], bins: int):
    loads = [
        sum(s.samples for s in share) for share in plan([Shard(f"{i}", n, 0) for i, n in enumerate(samples)], bins)
    ]
    assert max(loads) <= min(loads) + max(samples, default=0)


def test_the_field_guides_set_is_shared_out_as_it_was_there():
    shards = [Shard(f"{i}", n, 0) for i, n in enumerate((5, 1, 9, 3, 7, 2, 4))]
    for bins, expected in ((2, [16, 15]), (3, [11, 10, 10]), (4, [9, 8, 7, 7]), (9, [9, 7, 5, 4, 3, 2, 1, 0, 0])):
        loads = sorted((sum(s.samples for s in share) for share in plan(shards, bins)), reverse=True)
        assert loads == expected
