"""Pictures in memory that workers take again and again, and workers that nobody reads any more."""

import io
import os
import signal
import time
from collections import Counter
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shard_files import write_tar
from torch import Tensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.data.shards.shared_buffers import BUFFERS, SharedBatchBuffers


def pixels(data: bytes) -> Tensor:
    return torch.from_numpy(np.asarray(decode(data)).copy()).permute(2, 0, 1)


def numbered(i: int, side: int = 4) -> bytes:
    """A picture that says its number, and its side too."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (i, 255 - i, side)).save(buffer, "PNG")
    return buffer.getvalue()


def a_set(folder: Path, shards: list[list[bytes]]) -> Manifest:
    rows, n = [], 0
    for i, pictures in enumerate(shards):
        path = folder / f"{i:03d}.tar"
        write_tar(path, [(f"{n + j}.png", data) for j, data in enumerate(pictures)])
        n += len(pictures)
        rows.append(Shard(path.name, len(pictures), path.stat().st_size))
    return Manifest("numbered", "id", tuple(rows), root=folder)


def of(sizes: tuple[int, ...]) -> list[list[bytes]]:
    numbers = iter(range(sum(sizes)))
    return [[numbered(next(numbers)) for _ in range(size)] for size in sizes]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(
    "shards",
    [
        of((9, 9, 9, 9)),
        of((1, 20)),  # a worker comes to its end while the other has just begun
        of((1, 1, 1, 24)),
        of((0, 0, 0, 20)),
        [[b"bad"] * 5, *of((2, 14))],
        [[numbered(6 * i + j, side) for j in range(6)] for i, side in enumerate((4, 7, 4, 5))],
    ],
    ids=["even", "uneven", "one long", "empty", "bad", "sizes"],
)
def test_pictures_hold_until_the_next_part_is_asked_for(
    tmp_path: Path, shards: list[list[bytes]], workers: int, batch_size: int
):
    """Workers are as far ahead here as they ever get."""
    manifest, seen, expected = a_set(tmp_path, shards), Counter[int](), [data for some in shards for data in some]
    for part in loader(ShardParts(manifest, list(manifest.shards), pixels, batch_size, 5), workers):
        time.sleep(0.02)
        for key, image in zip(part["keys"], part["image"], strict=True):
            seen[int(key)] += 1
            torch.testing.assert_close(image, pixels(expected[int(key)]), atol=0, rtol=0)
    assert seen == Counter(i for i, data in enumerate(expected) if data != b"bad")


def test_a_slot_is_made_anew_for_pictures_that_do_not_fit_it():
    slots, kinds = (
        SharedBatchBuffers(2),
        [(2, 4, torch.uint8), (5, 4, torch.uint8), (5, 7, torch.uint8), (1, 7, torch.float32)],
    )
    for n, side, dtype in kinds:
        for turn in range(BUFFERS + 1):
            images = [torch.full((3, side, side), turn + i, dtype=dtype) for i in range(n)]
            found = slots.stack(images)
            assert found.is_shared()
            torch.testing.assert_close(found, torch.stack(images), atol=0, rtol=0)


class Hanging(Manifest):
    """Its shards from the second on never come."""

    def path(self, shard: Shard) -> Path:
        if shard.path != "000.tar":
            time.sleep(300)
        return super().path(shard)


@pytest.fixture
def hanging(tmp_path: Path) -> ShardParts:
    manifest = a_set(tmp_path, of((3, 2, 2, 2)))
    return ShardParts(Hanging("hanging", "id", manifest.shards, root=tmp_path), [*manifest.shards], pixels, 3)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_that_wait_for_a_shard_end_at_once_when_reading_does(hanging: ShardParts):
    read = loader(hanging, 3)
    assert next(read)["keys"] == ["0", "1", "2"]
    assert len(active_children()) == 3
    began = time.monotonic()
    read.close()
    assert time.monotonic() - began < 4  # torch alone would wait for each of them, 5 s
    assert not active_children()


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only its entry."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up as on Linux")
def test_workers_that_wait_for_a_shard_end_when_their_parent_is_killed(hanging: ShardParts):
    told, tell = get_context("fork").Pipe(duplex=False)

    def reader() -> None:
        read = loader(hanging, 2)
        next(read)
        tell.send([process.pid for process in active_children()])
        next(read)

    process = get_context("fork").Process(target=reader)
    process.start()
    assert told.poll(60)
    workers = told.recv()
    assert len(workers) == 2
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    left, limit = set(workers), time.monotonic() + 20
    while left and time.monotonic() < limit:
        left = {pid for pid in left if runs(pid)}
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
