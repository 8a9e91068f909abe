"""Worker processes: the same images and errors as without them, and no process that outlives its reader."""

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
from waiting import HANG_S, wait_until

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.reader import PARTS_AHEAD, ShardParts, loader

pytestmark = pytest.mark.slow  # processes of their own


def pixels(data: bytes) -> Tensor:
    return torch.from_numpy(np.asarray(decode(data)).copy()).permute(2, 0, 1)


def numbered(i: int, side: int = 4) -> bytes:
    """An image whose colour states its number and its side."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (i, 255 - i, side)).save(buffer, "PNG")
    return buffer.getvalue()


def write_numbered_set(folder: Path, shards: list[list[bytes]]) -> Manifest:
    """Shards of these images; keys count them through the set."""
    rows = []
    n_images = 0
    for i, images in enumerate(shards):
        path = folder / f"{i:03d}.tar"
        write_tar(path, [(f"{n_images + j}.png", data) for j, data in enumerate(images)])
        n_images += len(images)
        rows.append(Shard(path.name, len(images), path.stat().st_size))
    return Manifest("numbered", "id", tuple(rows), root=folder)


def numbered_shards(*sizes: int) -> list[list[bytes]]:
    numbers = iter(range(sum(sizes)))
    return [[numbered(next(numbers)) for _ in range(size)] for size in sizes]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(
    "shards",
    [
        numbered_shards(9, 9, 9, 9),
        numbered_shards(1, 20),  # a worker comes to its end while the other has just begun
        numbered_shards(1, 1, 1, 24),
        numbered_shards(0, 0, 0, 20),
        [[b"bad"] * 5, *numbered_shards(2, 14)],
        [[numbered(6 * i + j, side) for j in range(6)] for i, side in enumerate((4, 7, 4, 5))],
    ],
    ids=["even", "uneven", "one long", "empty", "bad", "sizes"],
)
def test_images_of_workers_stay_as_they_were_decoded(
    tmp_path: Path, shards: list[list[bytes]], workers: int, batch_size: int
):
    """All parts are held to the end: no worker writes into memory that it has handed over."""
    manifest = write_numbered_set(tmp_path, shards)
    encoded = [data for images in shards for data in images]
    seen: Counter[int] = Counter()

    for part in list(loader(ShardParts(manifest, list(manifest.shards), pixels, batch_size, 5), workers)):
        assert part["image"].is_shared() or not part["keys"]
        for key, image in zip(part["keys"], part["image"], strict=True):
            seen[int(key)] += 1
            torch.testing.assert_close(image, pixels(encoded[int(key)]), atol=0, rtol=0)

    assert seen == Counter(i for i, data in enumerate(encoded) if data != b"bad")


def test_a_worker_decodes_a_bounded_number_of_parts_ahead(tmp_path: Path):
    manifest = write_numbered_set(tmp_path, numbered_shards(40))
    decoded = tmp_path / "decoded"

    def counted(data: bytes) -> Tensor:
        with decoded.open("ab") as file:
            file.write(b".")
        return pixels(data)

    read = loader(ShardParts(manifest, list(manifest.shards), counted, batch_size=2), 1)
    next(read)
    n_allowed = 2 * (1 + PARTS_AHEAD)  # the images that the reader has, and those that wait for it
    wait_until(lambda: decoded.stat().st_size >= n_allowed, "the worker has decoded what it may")
    time.sleep(0.3)
    assert decoded.stat().st_size == n_allowed
    read.close()


class Hanging(Manifest):
    """Its shards from the second on never come."""

    def path(self, shard: Shard) -> Path:
        if shard.path != "000.tar":
            time.sleep(HANG_S)
        return super().path(shard)


@pytest.fixture
def hanging(tmp_path: Path) -> ShardParts:
    manifest = write_numbered_set(tmp_path, numbered_shards(3, 2, 2, 2))
    return ShardParts(Hanging("hanging", "id", manifest.shards, root=tmp_path), [*manifest.shards], pixels, 3)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_that_wait_for_a_shard_end_when_reading_does(hanging: ShardParts):
    read = loader(hanging, 3)
    assert next(read)["keys"] == ["0", "1", "2"]

    workers = active_children()
    assert len(workers) == 3
    read.close()
    assert not active_children()
    assert {worker.exitcode for worker in workers} == {0}  # by themselves: torch would kill them after 5 s each


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only its entry."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up as on Linux")
def test_workers_that_wait_for_a_shard_end_when_their_parent_is_killed(hanging: ShardParts):
    receiver, sender = get_context("fork").Pipe(duplex=False)

    def reader() -> None:
        read = loader(hanging, 2)
        next(read)
        sender.send([process.pid for process in active_children()])
        next(read)

    process = get_context("fork").Process(target=reader)
    process.start()
    assert receiver.poll(HANG_S)
    workers = receiver.recv()
    assert len(workers) == 2

    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    wait_until(lambda: not any(runs(pid) for pid in workers), "the workers end")
