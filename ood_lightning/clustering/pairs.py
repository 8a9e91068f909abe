"""Pairs of similar images: in every epoch each image is paired with one of its nearest neighbours, drawn anew."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ood_lightning.data.shards.epoch_order import EpochBatches
from ood_lightning.functional.rows import FeatureRows


class EpochPairs(EpochBatches):
    """One rank's share of every batch of pairs, a pure function of (seed, epoch, number of images).

    The batches of the whole run are drawn first and then cut into shares, so that the batches and their order do not
    depend on the number of ranks.

    Args:
        n_images: N.
        n_neighbours: k.
        batch_size: pairs in a batch over all ranks; the last, partial batch is dropped, as in TEMI.
        seed: of the order and of the draws.
        rank: number of this process.
        world_size: number of processes; divides `batch_size`.
    """

    def __init__(
        self, n_images: int, n_neighbours: int, batch_size: int, seed: int, rank: int, world_size: int
    ) -> None:
        super().__init__(n_images, batch_size, seed)
        self.n_neighbours, self.rank, self.world_size = n_neighbours, rank, world_size

    def __len__(self) -> int:
        return self.n_rows // self.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        """Of each step, (image, column of its list of neighbours), int64, shape (batch_size / world_size, 2)."""
        share = self.batch_size // self.world_size
        for pairs in super().__iter__():
            yield pairs[self.rank * share : (self.rank + 1) * share]

    def drawn(self, draw: torch.Generator) -> Tensor:
        """Every image once, each with a random column, shape (N, 2)."""
        images = super().drawn(draw)
        column = torch.randint(self.n_neighbours, (self.n_rows,), generator=draw)
        return torch.stack([images, column[images]], dim=1)


def resident(image: FeatureRows, neighbours: FeatureRows, device: torch.device) -> tuple[FeatureRows, FeatureRows]:
    """Features and neighbours on the device that trains, where both fit into half of its free memory; else as they are.

    At ImageNet's size they are 2.9 GB at D 1,024, and pairs gathered by a processor would take longer than a step.
    """
    if device.type != "cuda":
        return image, neighbours

    n_bytes = sum(rows.shape.numel() * rows.dtype.itemsize for rows in (image, neighbours))
    free, _ = torch.cuda.mem_get_info(device)
    return (image, neighbours) if n_bytes > free // 2 else (image.to(device), neighbours.to(device))


class PairFeatures(Dataset[dict[str, Tensor]]):
    """Features of both members of pairs.

    Args:
        image: (N, D) features in any float dtype.
        neighbours: (N, k), int32 or int64.
    """

    def __init__(self, image: FeatureRows, neighbours: FeatureRows) -> None:
        self.image, self.neighbours = image, neighbours

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        """Features of the images and of their neighbours, each (b, D) float32, on the device of the features."""
        images, columns = rows.to(self.image.device, non_blocking=True).unbind(1)
        neighbours = self.neighbours[images].gather(1, columns[:, None])[:, 0].long()  # (b, k) -> (b,)
        return {"image": self.image[images].float(), "neighbour": self.image[neighbours].float()}
