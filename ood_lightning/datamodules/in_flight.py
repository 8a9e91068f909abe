"""Batches on their way through a device: while one is computed, the next is copied there and the last one back.

A GPU computes while the processor does other things, unless something waits for it. So nothing here does:

    processor   pin and launch 1   pin and launch 2   wait for 1, pin and launch 3   wait for 2, ...
    copies in   1                  2                  3
    GPU             1 1 1 1 1 1 1 1 2 2 2 2 2 2 2 2 2 3 3 3 3 3 3 3
    copies out                      1                 2

A copy runs beside the computation if it goes from or to pinned memory, which the system cannot move, and on a stream of
its own. A processor has nothing to copy: its batches are finished one by one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Columns = dict[str, Tensor]
Finish = Callable[[], Columns]  # waits for the columns of a batch, and gives them on the CPU


class Copies:
    """Copies to a device and back that are started and not waited for; on other devices than GPUs, plain ones.

    Args:
        device: that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._streams = (torch.cuda.Stream(device), torch.cuda.Stream(device)) if device.type == "cuda" else None

    @property
    def batches_in_flight(self) -> int:
        """Batches to launch before the first of them is waited for."""
        return 2 if self._streams else 1

    def to_device(self, images: Tensor) -> Tensor:
        """Images for whatever is computed next on the device's current stream."""
        if self._streams is None:
            return images.to(self.device)

        inward, _ = self._streams
        with torch.cuda.stream(inward):
            copied = images.pin_memory().to(self.device, non_blocking=True)

        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(inward)
        copied.record_stream(computing)  # its memory belongs to the other stream, which must not reuse it too early
        return copied

    def to_cpu(self, columns: Mapping[str, Tensor]) -> Finish:
        """Start copying columns of a batch, by name, that the device's current stream computes."""
        if self._streams is None:
            on_cpu = {name: rows.cpu() for name, rows in columns.items()}
            return lambda: on_cpu

        _, outward = self._streams
        outward.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(outward):
            pinned = {name: _to_pinned(rows) for name, rows in columns.items()}
        for rows in columns.values():
            rows.record_stream(outward)
        copied = torch.cuda.Event(blocking=True)  # who waits leaves the processor to those that decode
        copied.record(outward)

        def finish() -> Columns:
            copied.synchronize()
            return {name: rows.clone() for name, rows in pinned.items()}  # all of a shard would be much to pin

        return finish


def _to_pinned(rows: Tensor) -> Tensor:
    """Pinned memory that rows of a GPU are being copied to."""
    pinned = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    return pinned.copy_(rows, non_blocking=True)


def in_flight(batches: Iterable[T], launch: Callable[[T], Finish], n: int) -> Iterator[tuple[T, Columns]]:
    """Batches with their columns, in order; `n` are launched before the first is waited for.

    What was launched before an error or Ctrl-C comes before it: it may be the end of a shard.

    Args:
        batches: to compute.
        launch: starts a batch.
        n: at least 1.
    """
    launched: deque[tuple[T, Finish]] = deque()
    try:
        for batch in batches:
            launched.append((batch, launch(batch)))
            if len(launched) >= n:
                yield _finished(launched)
    except (Exception, KeyboardInterrupt):
        while launched:
            yield _finished(launched)
        raise

    while launched:
        yield _finished(launched)


def _finished(launched: deque[tuple[T, Finish]]) -> tuple[T, Columns]:
    batch, finish = launched[0]
    columns = finish()
    launched.popleft()  # not before: Ctrl-C may come while this waits
    return batch, columns
