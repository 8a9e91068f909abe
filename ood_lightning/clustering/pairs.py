"""Pairs of like images: every epoch each image meets one of its nearest neighbours, drawn anew."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler


class EpochPairs(Sampler[Tensor]):
    """One rank's share of every batch of pairs, a pure function of (seed, epoch, number of images).

    The batches are those of the whole run, cut afterwards, so that every number of ranks sees the same batches in the
    same order, and a resumed run goes on as an uninterrupted one would.

    Args:
        n_images: N.
        n_neighbours: k.
        batch_size: pairs in a batch over all ranks; the last, partial batch is dropped, as in TEMI.
        seed: of the order and of the draws.
        rank: this process.
        world_size: number of processes; divides `batch_size`.
    """

    def __init__(
        self, n_images: int, n_neighbours: int, batch_size: int, seed: int, rank: int, world_size: int
    ) -> None:
        self.n_images, self.n_neighbours, self.batch_size = n_images, n_neighbours, batch_size
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_images // self.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        """Rows (image, column of its neighbour list), shape (batch_size / world_size, 2) a step."""
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.n_images, generator=draw)
        column = torch.randint(self.n_neighbours, (self.n_images,), generator=draw)
        share = self.batch_size // self.world_size
        for step in range(len(self)):
            start = step * self.batch_size + self.rank * share
            images = order[start : start + share]
            yield torch.stack([images, column[images]], dim=1)


class PairFeatures(Dataset[dict[str, Tensor]]):
    """Features of pairs.

    Args:
        image: (N, D) features in any float dtype.
        neighbours: (N, k) int64.
    """

    def __init__(self, image: Tensor, neighbours: Tensor) -> None:
        self.image, self.neighbours = image, neighbours

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        """Features of the images and of their neighbours, each (b, D) float32."""
        images, columns = rows.unbind(1)
        return {"image": self.image[images].float(), "neighbour": self.image[self.neighbours[images, columns]].float()}
