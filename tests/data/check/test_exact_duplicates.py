"""Images with the same bytes, within a set and across sets."""

from pathlib import Path

from checked_sets import run_check, set_of
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_files import COLOURS, encoded

from ood_lightning.data.check.content import SetContent, ShardContent
from ood_lightning.data.check.exact_duplicates import duplicates
from ood_lightning.data.shards.manifest import Manifest


def test_the_same_bytes_within_and_across_sets_are_found(tmp_path: Path):
    red = [encoded(COLOURS["red"], i) for i in range(5)]
    one = set_of(tmp_path / "one", [[("a.png", red[0]), ("b.png", red[1])], [("c.png", red[0])]])
    other = set_of(tmp_path / "other", [[("d.png", red[2]), ("e.png", red[1])]])
    status, problems = run_check(one, "--ood", other)
    assert status == 1
    assert [(p["set"], p["where"], p["what"]) for p in problems] == [
        ("one", "1.tar c", "has the bytes of 0.tar a of this set"),
        ("other", "0.tar e", "has the bytes of 0.tar b of set 'one'"),
    ]


@settings(max_examples=100, deadline=None)
@given(sets=st.lists(st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=3), min_size=1, max_size=3))
def test_groups_of_duplicates_are_those_of_a_slow_search(sets: list[list[list[int]]]):
    def shard(values: list[int]) -> ShardContent:
        return ShardContent("x", b"".join(bytes([v % 3]) * 8 + bytes([v]) * 8 for v in values))

    manifest = Manifest("x", "id", ())
    contents = [SetContent(manifest, "id", [shard(values) for values in one]) for one in sets]
    places: dict[int, list[tuple[int, int, int]]] = {}
    for i, one in enumerate(sets):
        for j, values in enumerate(one):
            for k, value in enumerate(values):
                places.setdefault(value, []).append((i, j, k))
    assert duplicates(contents) == sorted(group for group in places.values() if len(group) > 1)


def test_a_set_may_have_more_shards_than_two_bytes_count():
    shards = [ShardContent("x")] * 70_000 + [ShardContent("y", bytes(16))] * 2
    contents = [SetContent(Manifest("x", "id", ()), "id", shards)] * 2
    assert duplicates(contents) == [[(i, j, 0) for i in (0, 1) for j in (70_000, 70_001)]]


def test_duplicates_in_a_remote_set_are_named(tmp_path: Path):
    picture = encoded(COLOURS["red"], 0)
    folder = set_of(tmp_path / "one", [[("a.png", picture)], [("b.png", picture)]])
    tars = f"pipe:cat {folder}/{{0..1}}.tar"
    assert [(p["where"], p["what"]) for p in run_check(tars)[1]] == [
        ("1.tar b", "has the bytes of 0.tar a of this set")
    ]
