"""What is computed of a set's images, a file for each of some chunks of rows, so that processes share the work.

Chunks depend on the number of images alone: any number of processes writes the same files, and what a run that was
killed has finished is not computed again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ood_lightning.data.artifacts.files import sweep
from ood_lightning.data.artifacts.store import Store, is_stored, opened, write_store
from ood_lightning.errors import FeatureError
from ood_lightning.functional.moments import Moments, merged
from ood_lightning.functional.rows import FeatureRows, joined

RUN_AGAIN = "remove it and run again"
MOST_CHUNKS = 256
LEAST_ROWS = 4096  # of a chunk, unless the set has fewer: a search reads the whole set for each chunk


class RowChunks:
    """Files of one computation over the rows of a set.

    Args:
        folder: of these files alone.
        provenance: what the rows belong to and how they are computed; a file that says otherwise is refused.
        n_rows: of the set.
    """

    def __init__(self, folder: Path, provenance: Mapping[str, Any], n_rows: int) -> None:
        self.folder, self.n_rows, self._provenance = folder, n_rows, dict(provenance)
        size = max(LEAST_ROWS, -(-n_rows // MOST_CHUNKS))
        self.chunks = [range(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]

    def missing(self) -> list[range]:
        """Chunks without a finished file."""
        encoder = self.folder.parent.parent
        return [rows for rows in self.chunks if not is_stored(self.file(rows), encoder)]

    def file(self, rows: range) -> Path:
        """Where a chunk lies."""
        return self.folder / f"{rows.start:010d}.safetensors"

    def sweep(self) -> None:
        """Remove the temporary files that killed processes left of finished chunks."""
        sweep(self.folder, {self.file(rows).name for rows in self.chunks})

    def write(self, rows: range, tensors: Mapping[str, Tensor]) -> None:
        """Store what was computed of a chunk."""
        write_store(self.file(rows), {name: tensor.cpu() for name, tensor in tensors.items()}, self._stated(rows))

    def neighbours(self, k: int) -> FeatureRows:
        """Rows of each image's k nearest others, (N, k) int32, mapped from the files.

        Raises:
            FeatureError: a file is missing, damaged or of another set, or holds other than k rows of the set for each
                of its images.
        """
        return joined([self._neighbours(rows, k) for rows in self.chunks])

    def moments(self) -> Moments:
        """Mean and squared distances from it, of all rows.

        Raises:
            FeatureError: a file is missing, damaged or of another set.
        """
        return merged(self._moments(rows) for rows in self.chunks)

    def _neighbours(self, rows: range, k: int) -> Tensor:
        with opened(self.file(rows), self._stated(rows), RUN_AGAIN) as store:
            nearest = store.tensor("neighbours", (len(rows), k), torch.int32)
            low, high = (int(side) for side in nearest.aminmax())
            if low < 0 or high >= self.n_rows:
                wrong = low if low < 0 else high
                raise FeatureError(f"{self.file(rows)} names image {wrong} of {self.n_rows}: {RUN_AGAIN}")
            return nearest

    def _moments(self, rows: range) -> Moments:
        with opened(self.file(rows), self._stated(rows), RUN_AGAIN) as store:
            mean, squares = (_doubles(store, name) for name in ("mean", "squares"))
            return Moments(len(rows), mean, squares)

    def _stated(self, rows: range) -> dict[str, Any]:
        return {**self._provenance, "rows": f"{rows.start} to {rows.stop} of {self.n_rows}"}


def _doubles(store: Store, name: str) -> Tensor:
    return store.tensor(name, (None,), torch.float64).clone()  # a map of its own for each would be one of hundreds
