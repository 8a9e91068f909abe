"""What loaders hand over: a set in blocks of rows, for evaluation, and drawn rows with classes, for trainings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ood_lightning.data.artifacts.features import Features
from ood_lightning.functional.rows import FeatureRows


class Blocks(Dataset[dict[str, Tensor]]):
    """A rank's share of a set, in blocks of rows cut at the same places for every number of ranks.

    So each product has the same shape wherever it is computed, and scores are equal to the last bit.

    Args:
        features: of the set.
        block: rows; of ViT-B/16's patches 1,024 rows are 205 MB.
        rank: this process.
        world_size: number of processes.
        columns: to hand over beside `image`, as stored; read from disk block by block.
    """

    def __init__(self, features: Features, block: int, rank: int, world_size: int, columns: Sequence[str] = ()) -> None:
        n = -(-len(features) // block)
        self.blocks = range(n * rank // world_size, n * (rank + 1) // world_size)
        self.image, self.block = features.image, block
        self.columns = {name: features.columns[name] for name in columns}

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        start = self.blocks[index] * self.block
        image = self.image[start : start + self.block].float()
        stop = start + len(image)
        more = {name: column.rows(start, stop) for name, column in self.columns.items()}
        return {"image": image, "id": torch.arange(start, stop), **more}


@dataclass(frozen=True)
class Rows(Dataset[dict[str, Tensor]]):
    """Features with classes, whole batches of rows at a time.

    Args:
        image: features, shape (n, D), any float dtype.
        target: class of each, int64, shape (n,).
        prepare: of the features of a batch.
    """

    image: FeatureRows
    target: Tensor
    prepare: Callable[[Tensor], Tensor] = Tensor.float

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        return {"image": self.prepare(self.image[rows]), "target": self.target[rows]}
