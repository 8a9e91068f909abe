"""Copies to and from a GPU, on streams that do nothing until somebody waits for them: nobody reads too early.

There is no GPU here. What stands in for one postpones each copy until an event or another stream has waited for its
stream, so that a wait that is missing leaves numbers that nobody wrote.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_encoder import PlainEncoder
from torch import Tensor

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.datamodules.in_flight import Copies

GPU = torch.device("cuda", 0)
NOBODYS = 77  # what memory holds before a copy arrives


class Stream:
    """A stream whose work is done when it is waited for."""

    def __init__(self, name: object = "") -> None:
        self.name = str(name)
        self.work: list[Callable[[], object]] = []
        self.waited_for: list[Stream] = []

    def run(self) -> None:
        while self.work:
            self.work.pop(0)()

    def wait_stream(self, other: "Stream") -> None:
        self.waited_for.append(other)
        other.run()


class Event:
    def __init__(self, blocking: bool = False) -> None:
        assert blocking

    def record(self, stream: Stream) -> None:
        self.stream = stream

    def synchronize(self) -> None:
        self.stream.run()


class FakeGPU:
    """Takes the place of what torch does with a GPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.computing = Stream("computing")
        self.current = self.computing
        self.pinned: dict[int, Tensor] = {}  # by address; kept, so that no address comes twice
        self.kept_for: list[tuple[int, Stream]] = []
        original_to, original_empty, original_copy = Tensor.to, torch.empty, Tensor.copy_

        def to(tensor: Tensor, *arguments: Any, non_blocking: bool = False, **options: Any) -> Tensor:
            if not arguments or arguments[0] != GPU:
                return original_to(tensor, *arguments, non_blocking=non_blocking, **options)
            assert non_blocking
            assert tensor.data_ptr() in self.pinned
            assert self.current is not self.computing
            arriving = torch.full_like(tensor, NOBODYS)
            self.current.work.append(lambda: original_copy(arriving, tensor))
            return arriving

        def empty(*shape: Any, pin_memory: bool = False, **options: Any) -> Tensor:
            tensor = original_empty(*shape, **options)
            return self.pin(tensor.fill_(NOBODYS)) if pin_memory else tensor

        def copy(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
            if not non_blocking:
                return original_copy(target, source)
            assert target.data_ptr() in self.pinned
            assert self.computing in self.current.waited_for
            self.current.work.append(lambda: original_copy(target, source))
            return target

        monkeypatch.setattr(Tensor, "to", to)
        monkeypatch.setattr(Tensor, "copy_", copy)
        monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: self.pin(tensor.clone()))
        monkeypatch.setattr(Tensor, "record_stream", lambda tensor, to: self.kept_for.append((tensor.data_ptr(), to)))
        monkeypatch.setattr(torch, "empty", empty)
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.current)

    def pin(self, tensor: Tensor) -> Tensor:
        self.pinned[tensor.data_ptr()] = tensor
        return tensor

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGPU:
    return FakeGPU(monkeypatch)


def test_images_arrive_by_pinned_memory_before_anything_is_computed_of_them(gpu: FakeGPU):
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    copied = Copies(GPU).to_device(images)
    assert torch.equal(copied, images)
    assert copied.dtype == torch.uint8  # a quarter of float32
    assert (copied.data_ptr(), gpu.computing) in gpu.kept_for


def test_columns_come_back_when_they_are_waited_for_and_are_not_pinned_then(gpu: FakeGPU):
    rows = torch.rand(3, 5)
    finish = Copies(GPU).to_cpu({"image": rows, "length": rows[:, :1]})
    outward = gpu.kept_for[0][1]
    assert outward is not gpu.computing
    assert [address for address, _ in gpu.kept_for] == [rows.data_ptr(), rows.data_ptr()]
    assert len(outward.work) == 2  # nothing has waited

    columns = finish()
    assert torch.equal(columns["image"], rows)
    assert torch.equal(columns["length"], rows[:, :1])
    assert columns["image"].data_ptr() not in gpu.pinned


def test_features_are_those_of_a_run_without_a_gpu(
    tmp_path: Path, make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    manifest = read_manifest(str(make_set(tmp_path, "some", shards=(7, 1, 6))))
    settings = {"batch_size": 3, "num_workers": 0}
    expected = embed(PlainEncoder(), manifest, "cpu", device=torch.device("cpu"), **settings).read()  # type: ignore[arg-type]

    FakeGPU(monkeypatch)
    actual = embed(PlainEncoder(), manifest, "gpu", device=GPU, **settings).read()  # type: ignore[arg-type]
    assert torch.equal(actual.image.to("cpu"), expected.image.to("cpu"))
    assert actual.keys == expected.keys
    assert len(actual) == 14
