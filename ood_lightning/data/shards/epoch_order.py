"""The order in which a training sees its rows: drawn anew every epoch, and known from the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler


class EpochBatches(Sampler[Tensor]):
    """Batches of shuffled rows, a pure function of (seed, epoch, number of rows); a resumed run goes on with the same.

    Args:
        n_rows: N.
        batch_size: rows in a batch; the last, partial batch is kept.
        seed: of all orders.
    """

    def __init__(self, n_rows: int, batch_size: int, seed: int) -> None:
        self.n_rows, self.batch_size, self.seed = n_rows, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)  # rounded up

    def __iter__(self) -> Iterator[Tensor]:
        """Rows, shape (b,) int64 a step."""
        rows = self.drawn(torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch))
        yield from rows.split(self.batch_size)[: len(self)]  # a subclass may leave out the last, partial batch

    def drawn(self, draw: torch.Generator) -> Tensor:
        """All rows of an epoch in their order; the first dimension is cut into batches."""
        return torch.randperm(self.n_rows, generator=draw)
