"""Every sample once, for any shards, ranks and workers."""

import io
import os
from collections import Counter
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shard_files import write_tar
from torch import Tensor

from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.prefetch import ReaderAlive
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts, loader

MAX_IMAGES = 5
Read = Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tars of 0 to 5 pictures, each under a thousand names."""
    folder = tmp_path_factory.mktemp("tars")
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    for n in range(MAX_IMAGES + 1):
        path = folder / f"of{n}.tar"
        write_tar(path, [(f"{i}.png", buffer.getvalue()) for i in range(n)])
        for i in range(1000):
            os.link(path, folder / f"{i:04d}-of{n}.tar")
    return folder


def set_of(folder: Path, sizes: list[int]) -> Manifest:
    """A set with a shard of each of these sizes."""
    files = [(folder / f"{i:04d}-of{n}.tar", n) for i, n in enumerate(sizes)]
    rows = tuple(Shard(file.name, n, file.stat().st_size) for file, n in files)
    return Manifest("any", "id", rows, root=folder)


def black_pixel(_: bytes) -> Tensor:
    return torch.zeros(3, 1, 1)


def read_by(manifest: Manifest, ranks: int, workers: int, batch_size: int) -> tuple[Read, list[str]]:
    """What all workers of all ranks read, one after the other, and the shards that they finished."""
    seen: Read = Counter()
    finished = []

    for share in plan(manifest.shards, ranks):
        parts = ShardParts(manifest, share, black_pixel, batch_size)
        for worker_share in plan(share, max(workers, 1)):
            for part in parts.of(worker_share, ReaderAlive()):
                seen.update((part["shard"], key) for key in part["keys"])
                if part["last"]:
                    finished.append(part["shard"])

    return seen, finished


def once(manifest: Manifest) -> Read:
    return Counter((shard.path, str(i)) for shard in manifest.shards for i in range(shard.samples))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, MAX_IMAGES), max_size=25), st.integers(1, 9), st.integers(0, 4), st.integers(1, 7))
def test_every_sample_is_read_once(tars: Path, sizes: list[int], ranks: int, workers: int, batch_size: int):
    manifest = set_of(tars, sizes)
    seen, finished = read_by(manifest, ranks, workers, batch_size)
    assert seen == once(manifest)
    assert sorted(finished) == [shard.path for shard in manifest.shards]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, MAX_IMAGES), max_size=9), st.integers(1, 2), st.integers(1, 4), st.integers(1, 7))
def test_processes_read_every_sample_once(tars: Path, sizes: list[int], ranks: int, workers: int, batch_size: int):
    manifest = set_of(tars, sizes)
    parts = [
        part
        for share in plan(manifest.shards, ranks)
        for part in loader(ShardParts(manifest, share, black_pixel, batch_size), workers)
    ]
    assert Counter((part["shard"], key) for part in parts for key in part["keys"]) == once(manifest)
    assert sorted(part["shard"] for part in parts if part["last"]) == [shard.path for shard in manifest.shards]
    assert not active_children()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("sizes", "ranks"),
    [([3], 8), ([0], 8), ([0, 0, 0], 2), ([1], 1), ([i % 3 for i in range(1000)], 3), ([], 4)],
    ids=["1 for 8", "empty for 8", "all empty", "1 for 1", "1000 for 3", "none for 4"],
)
def test_more_ranks_than_shards_and_more_shards_than_ranks(tars: Path, sizes: list[int], ranks: int, workers: int):
    manifest = set_of(tars, sizes)
    seen, finished = read_by(manifest, ranks, workers, 4)
    assert seen == once(manifest)
    assert sorted(finished) == [shard.path for shard in manifest.shards]


def _read_as_rank(rank: int, meeting: str, source: str, gathered: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    manifest = read_manifest(source)
    parts = ShardParts(manifest, plan(manifest.shards, 2)[rank], split(_pixels).first, 3)
    mine = [(part["shard"], key) for part in loader(parts, num_workers=2) for key in part["keys"]]

    everyone: list[list[tuple[str, str]]] = [[], []]
    dist.all_gather_object(everyone, mine)
    if rank == 0:
        torch.save(everyone, gathered)
    dist.destroy_process_group()


def _pixels(image: Image.Image) -> Tensor:
    return torch.zeros(3, *image.size)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(5, 1, 9, 3, 7, 2, 4), (4,), (2, 0, 1)])
def test_two_processes_with_two_workers_each_read_every_sample_once(
    tmp_path: Path, make_set: Callable[..., Path], sizes: tuple[int, ...]
):
    folder = make_set(tmp_path, "s", shards=sizes)
    arguments = (str(tmp_path / "meeting"), str(folder), str(tmp_path / "gathered.pt"))
    mp.start_processes(_read_as_rank, arguments, nprocs=2, start_method="fork")

    everyone = torch.load(tmp_path / "gathered.pt", weights_only=True)
    assert sorted(key for share in everyone for _, key in share) == [f"s{i:04d}" for i in range(sum(sizes))]
