"""Columns beside the image features of a set, read a few rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ood_lightning.errors import FeatureError


@contextmanager
def opened(file: Path, to_make: str = "embed") -> Iterator[safe_open]:
    """A safetensors file, open for reading.

    Args:
        file: its path.
        to_make: what makes such a file, for the error.

    Raises:
        FeatureError: it is missing or damaged.
    """
    try:
        with safe_open(file, framework="pt") as stored:
            yield stored
    except (FileNotFoundError, SafetensorError) as error:
        raise FeatureError(f"{file} is missing or damaged ({error}): remove it and {to_make} again") from None


@dataclass(frozen=True)
class StoredColumn:
    """A further column of a set, left on disk until rows are read: 196 patches of a picture are 200 KB.

    Args:
        name: `tower`, `patches` or `length`.
        files: of the shards in order, each with its number of rows.
    """

    name: str
    files: tuple[tuple[Path, int], ...]

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
        with opened(file) as stored:
            column = stored.get_slice(self.name)
            held = column.get_shape()[0]
            piece: Tensor = column[low:high]

        if held != n:
            raise FeatureError(f"{file} holds {held} rows of {self.name}, {n} of images: remove it and embed again")
        return piece
