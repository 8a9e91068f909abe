"""Embedding holds a shard at a time, however many there are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from plain_encoder import PlainEncoder
from shard_files import write_tar

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.datamodules.embedding import embed

PICTURES, SIDE = 20, 64


def a_set(folder: Path, n_shards: int) -> Manifest:
    """Shards of one content under many names; no picture can be compressed."""
    draw, members = np.random.default_rng(0), []
    for i in range(PICTURES):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(buffer, "PNG")
        members.append((f"{i}.png", buffer.getvalue()))
    folder.mkdir()
    write_tar(folder / "one.tar", members)
    rows = []
    for i in range(n_shards):
        path = folder / f"{i:03d}.tar"
        path.symlink_to("one.tar")
        rows.append(Shard(path.name, PICTURES, path.stat().st_size))
    return Manifest(folder.name, "id", tuple(rows), root=folder)


def held_mib() -> float:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as on Linux")
def test_memory_does_not_grow_with_the_number_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    held, write = [], FeatureFolder.write

    def measured(*arguments: Any) -> None:
        held.append(held_mib())  # all of a shard is in memory now
        write(*arguments)

    monkeypatch.setattr(FeatureFolder, "write", measured)
    manifest = a_set(tmp_path / "many", 160)
    embed(PlainEncoder(), manifest, "cache", device=torch.device("cpu"), batch_size=8, num_workers=0)
    assert len(held) == 160
    pictures = 60 * PICTURES * SIDE * SIDE * 3 / 2**20
    assert pictures > 14  # of sixty shards decoded, and as much encoded
    assert max(held[100:]) - max(held[40:100]) < pictures / 4
