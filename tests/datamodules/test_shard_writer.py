"""Shards are stored beside the computation: in order, a few at a time, and no error of a write is lost."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_encoder import PlainEncoder
from torch import Tensor
from waiting import HANG_S, wait_until

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.datamodules.shard_writer import GatheredShard, ShardWriter
from ood_lightning.errors import FeatureError, UnwritableError

SHARDS = tuple(Shard(f"{i}.tar", 1, 512) for i in range(5))
MANIFEST = Manifest("some", "id", SHARDS, root=Path())


class Disk:
    """In place of a folder's `write`: keeps what is written, and writes nothing until it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: str = "") -> None:
        self.began: list[str] = []
        self.written: list[str] = []
        self.may_write = threading.Event()
        self.failing = failing
        monkeypatch.setattr(FeatureFolder, "write", lambda folder, shard, *_: self.write(shard))

    def write(self, shard: Shard) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.began.append(shard.path)
        assert self.may_write.wait(HANG_S)
        if shard.path == self.failing:
            raise UnwritableError(shard.path, "No space left on device")
        self.written.append(shard.path)


def gathered() -> GatheredShard:
    one = GatheredShard()
    part: Any = {"label": torch.zeros(1, dtype=torch.int64), "keys": ["a"], "bad": []}
    one.add(part, {"image": torch.ones(1, 1)})
    return one


def writer() -> ShardWriter:
    return ShardWriter(FeatureFolder("cache", MANIFEST, "e"))


def store(n: int, then: Callable[[ShardWriter], object] = lambda storing: None) -> None:
    """Store `n` shards, and do something before the end."""
    with writer() as storing:
        for shard in SHARDS[:n]:
            storing.store(shard, gathered())
        then(storing)


def test_one_shard_is_written_and_one_waits_and_no_third_is_held(monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch)
    third = threading.Event()

    with writer() as storing:
        storing.store(SHARDS[0], gathered())
        storing.store(SHARDS[1], gathered())  # came back though nothing is written yet
        wait_until(lambda: disk.began == ["0.tar"], "a write")

        def store_a_third() -> None:
            storing.store(SHARDS[2], gathered())
            third.set()

        thread = threading.Thread(target=store_a_third)
        thread.start()
        assert not third.wait(0.2)
        disk.may_write.set()
        thread.join(HANG_S)
    assert disk.written == ["0.tar", "1.tar", "2.tar"]


def test_the_end_waits_until_all_is_stored(monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch)
    with writer() as storing:
        storing.store(SHARDS[0], gathered())
        threading.Timer(0.1, disk.may_write.set).start()
    assert disk.written == ["0.tar"]


@pytest.mark.parametrize("failing", ["0.tar", "1.tar"])
def test_the_error_of_a_write_is_raised_at_the_latest_at_the_end(failing: str, monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch, failing)
    disk.may_write.set()
    with pytest.raises(UnwritableError, match=f"{failing} cannot be written: No space left"):
        store(2)


def test_the_error_of_a_write_is_raised_before_more_is_computed(monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch, "0.tar")

    def compute(storing: ShardWriter) -> None:
        storing.raise_early()  # nothing yet
        disk.may_write.set()
        wait_until(lambda: storing._writes[0].done(), "the end of the write")
        storing.raise_early()
        pytest.fail("the error was not raised")

    with pytest.raises(UnwritableError, match=r"0\.tar"):
        store(1, compute)


@pytest.mark.parametrize("error", [FeatureError("not finite"), KeyboardInterrupt()])
def test_what_is_finished_is_stored_when_a_run_ends_otherwise(error: BaseException, monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch)

    def stop(_: ShardWriter) -> None:
        disk.may_write.set()
        raise error

    with pytest.raises(type(error)):
        store(2, stop)
    assert disk.written == ["0.tar", "1.tar"]


def test_an_error_of_a_write_beside_another_one_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    disk = Disk(monkeypatch, "0.tar")
    disk.may_write.set()

    def stop(_: ShardWriter) -> None:
        raise FeatureError("not finite")

    with pytest.raises(FeatureError, match="not finite"), caplog.at_level(logging.WARNING):
        store(1, stop)
    assert "0.tar cannot be written: No space left" in caplog.text


def test_pictures_are_encoded_while_a_shard_is_written(
    tmp_path: Path, make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    manifest = read_manifest(str(make_set(tmp_path, "some", shards=(4, 4))))
    second_shard = threading.Event()
    write = FeatureFolder.write

    class Encoder(PlainEncoder):
        n_batches = 0

        def encode_image(self, image: Tensor) -> Tensor:
            self.n_batches += 1
            if self.n_batches == 3:
                second_shard.set()
            return super().encode_image(image)

    def after_the_next_shard_began(folder: FeatureFolder, *arguments: Any) -> None:
        assert second_shard.wait(HANG_S)
        write(folder, *arguments)

    monkeypatch.setattr(FeatureFolder, "write", after_the_next_shard_began)
    folder = embed(Encoder(), manifest, "cache", device=torch.device("cpu"), batch_size=2, num_workers=0)
    assert len(folder.read()) == 8


def test_a_damaged_shard_leaves_those_before_it_stored(tmp_path: Path, make_set: Callable[..., Path]):
    folder = make_set(tmp_path, "some", shards=(4, 4, 4))
    manifest = read_manifest(str(folder))
    longest_first = sorted(folder.glob("*.tar"))
    data = bytearray(longest_first[-1].read_bytes())
    data[600] ^= 1
    longest_first[-1].write_bytes(data)
    with pytest.raises(Exception, match="SHA-256"):
        embed(PlainEncoder(), manifest, "cache", device=torch.device("cpu"), batch_size=2, num_workers=0)
    assert len(FeatureFolder("cache", manifest, PlainEncoder.fingerprint).missing()) == 1
