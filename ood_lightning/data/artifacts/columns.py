"""Columns beside the image features of a set, read a few rows at a time."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import opened
from ood_lightning.errors import FeatureError

EMBED_AGAIN = "remove it and embed again"


@dataclass(frozen=True)
class StoredColumn:
    """A further column of a set, left on disk until rows are read: 196 patches of a picture are 200 KB.

    Args:
        name: `tower`, `patches` or `length`.
        files: of the shards in order, each with its number of rows.
    """

    name: str
    files: tuple[tuple[Path, int], ...]
    _sound: set[Path] = field(default_factory=set, compare=False, repr=False)  # files whose column was checked

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows from `start` up to `stop` in the stored dtype; nothing else is brought into memory.

        Raises:
            FeatureError: a file is missing, damaged or short of rows.
        """
        pieces = []
        first = 0  # row of the set at which the file begins

        for file, n in self.files:
            low, high = max(start - first, 0), min(stop - first, n)
            if low < high:
                pieces.append(self._piece(file, low, high, n))
            first += n

        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _piece(self, file: Path, low: int, high: int, n: int) -> Tensor:
        with opened(file, {}, EMBED_AGAIN) as store:
            if file not in self._sound:
                store.tensor(self.name)
            column = store.rows(self.name)
            held = column.get_shape()[0]
            piece: Tensor = column[low:high]

        if held != n:
            raise FeatureError(f"{file} holds {held} rows of {self.name}, {n} of images: {EMBED_AGAIN}")
        self._sound.add(file)
        return piece
