"""Shards to decoded parts: every image once, in order, and damage named."""

import io
from collections import Counter
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_images import noise_image
from PIL import Image
from shard_files import COLOURS, encoded, write_tar
from torch import Tensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.errors import ShardContentError, ShardCountError
from ood_lightning.hashes import sha256_of

SHAPE = (5, 1, 9, 3, 7, 2, 4)


def pixels(data: bytes) -> Tensor:
    return torch.from_numpy(np.asarray(decode(data)).copy()).permute(2, 0, 1)


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., Path]) -> Manifest:
    """31 samples in seven ragged shards."""
    return read_manifest(str(make_set(tmp_path_factory.mktemp("seven"), "seven", shards=SHAPE)))


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Manifest]:
    """Maker of a set of one shard; counts and hash fit its members unless said otherwise."""

    def make(members: list[tuple[str, bytes]], samples: int | None = None, hashed: bool = True) -> Manifest:
        path = tmp_path / "one-000.tar"
        write_tar(path, members)
        if samples is None:
            samples = sum(not name.endswith(".cls") for name, _ in members)
        shard = Shard(path.name, samples, path.stat().st_size, sha256_of(path) if hashed else "")
        return Manifest("one", "id", (shard,), root=tmp_path)

    return make


def read(manifest: Manifest, batch_size: int = 4, max_bad_samples: int = 0) -> list[dict]:
    return list(ShardParts(manifest, list(manifest.shards), pixels, batch_size, max_bad_samples))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_sample_comes_once_for_any_number_of_ranks_and_workers(seven: Manifest, world: int, workers: int):
    seen: Counter[str] = Counter()
    labels: dict[str, int] = {}
    for share in plan(seven.shards, world):
        finished = []
        for part in loader(ShardParts(seven, share, pixels, 2), workers):
            seen.update(part["keys"])
            labels |= dict(zip(part["keys"], part["label"].tolist(), strict=True))
            finished += [part["shard"]] * part["last"]
        assert sorted(finished) == sorted(shard.path for shard in share)

    assert seen == Counter(f"seven{i:04d}" for i in range(31))
    assert labels == {f"seven{i:04d}": i % 2 for i in range(31)}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 9, 100])
def test_parts_never_cross_shards_and_keep_the_order(seven: Manifest, batch_size: int):
    parts = read(seven, batch_size)
    assert all(len(part["keys"]) <= batch_size for part in parts)
    for shard in seven.shards:
        of_shard = [part for part in parts if part["shard"] == shard.path]
        keys = [key for part in of_shard for key in part["keys"]]
        assert keys == [sample.key for sample in read_samples(seven.path(shard))]
        assert [part["last"] for part in of_shard] == [False] * (len(of_shard) - 1) + [True]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_the_example_of_the_docstring(tmp_path: Path, make_set: Callable[..., Path]):
    a, b, c = (f"s-00000{i}.tar" for i in range(3))
    manifest = read_manifest(str(make_set(tmp_path, "s", shards=(5, 3, 3))))

    read_by_rank: list[dict[str, list[int]]] = []
    for share in plan(manifest.shards, 2):
        sizes: dict[str, list[int]] = {}
        for part in loader(ShardParts(manifest, share, pixels, batch_size=2), num_workers=2):
            sizes.setdefault(part["shard"], []).append(len(part["keys"]))
        read_by_rank.append(sizes)

    assert read_by_rank == [{a: [2, 2, 1]}, {b: [2, 1], c: [2, 1]}]


def test_pixels_are_those_that_were_packed(seven: Manifest):
    part = read(seven)[0]
    for i in range(4):
        packed = encoded(COLOURS["green" if i % 2 else "red"], i)
        expected = np.asarray(Image.open(io.BytesIO(packed)))
        np.testing.assert_array_equal(part["image"][i].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_named_and_not_decoded_in_part(one: Callable[..., Manifest], ending: str):
    data = noise_image(ending, (64, 64))
    for kept in (0, 1, 20, len(data) // 2, len(data) * 3 // 4):
        members = [("a", data), ("b", data[:kept]), ("c", data)]
        manifest = one([(f"{key}.{ending.lower()}", content) for key, content in members])
        with pytest.raises(ShardContentError, match=r"one-000\.tar: the picture 'b' cannot be read"):
            read(manifest)

        parts = read(manifest, max_bad_samples=1)
        assert [key for part in parts for key in part["keys"]] == ["a", "c"]
        assert [bad[:3] for part in parts for bad in part["bad"]] == ["b: "]


def test_a_shard_may_lose_as_many_pictures_as_allowed_and_no_more(one: Callable[..., Manifest]):
    good = noise_image()
    manifest = one([("a.png", b"no"), ("b.png", good), ("c.png", b"no"), ("d.png", good)])
    with pytest.raises(ShardContentError, match=r"the picture 'c' .*max_bad_samples \(now 1\)"):
        read(manifest, max_bad_samples=1)

    (part,) = read(manifest, batch_size=8, max_bad_samples=2)
    assert part["keys"] == ["b", "d"]
    assert len(part["bad"]) == 2


def test_a_shard_of_bad_pictures_alone_still_ends(one: Callable[..., Manifest]):
    (part,) = read(one([("a.png", b"no"), ("b.png", b"no")]), max_bad_samples=2)
    assert (part["keys"], len(part["bad"]), part["last"], len(part["image"])) == ([], 2, True, 0)


def test_flipped_bytes_are_caught_by_the_hash(one: Callable[..., Manifest]):
    data = noise_image("JPEG", (64, 64))
    manifest = one([("a.jpg", data)])
    path = manifest.path(manifest.shards[0])

    content = bytearray(path.read_bytes())
    content[512 + len(data) // 2 : 512 + len(data) // 2 + 40] = bytes(40)  # inside the scan, where JPEG sees nothing
    path.write_bytes(content)
    decode(bytes(content[512 : 512 + len(data)]))

    with pytest.raises(ShardContentError, match=r"the bytes of .*one-000\.tar are not those"):
        read(manifest)


@pytest.mark.parametrize(("promised", "held"), [(3, 2), (1, 2)])
def test_a_wrong_count_is_an_error(one: Callable[..., Manifest], promised: int, held: int):
    manifest = one([("a.png", noise_image()), ("b.png", noise_image())], samples=promised)
    with pytest.raises(ShardCountError, match=f"yielded {held} samples, its manifest promises {promised}"):
        read(manifest)


def test_a_cut_before_a_header_is_noticed_without_hash(one: Callable[..., Manifest]):
    manifest = one([("a.png", noise_image()), ("b.png", noise_image())], hashed=False)
    path = manifest.path(manifest.shards[0])
    first_member = 512 + 512 * -(-len(noise_image()) // 512)  # its header, and its bytes in blocks of 512
    path.write_bytes(path.read_bytes()[:first_member])
    with pytest.raises(ShardContentError, match=r"one-000\.tar is no sound tar, .*: damaged or cut after 1 member"):
        read(manifest)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("data", "samples", "kind", "words"),
    [
        (b"no", 1, ShardContentError, "^set 'one', shard .*: the picture 'a' cannot be read"),
        (noise_image(), 2, ShardCountError, "^set 'one', shard .* yielded 1 samples"),
    ],
)
def test_errors_of_workers_are_those_of_the_reader(
    one: Callable[..., Manifest], data: bytes, samples: int, kind: type[Exception], words: str, workers: int
):
    """torch would wrap them in a traceback, and the count's would no longer be a person's error."""
    manifest = one([("a.png", data)], samples=samples)
    with pytest.raises(kind, match=words) as caught:
        list(loader(ShardParts(manifest, list(manifest.shards), pixels, 4), workers))
    assert "Traceback" not in str(caught.value)
    assert not active_children()  # though the error is still held
