"""What one of several processes scored of a set, on disk until the first process has joined all shares."""

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import opened, write_store

TO_DO = (
    "all processes of a run need one trainer.default_root_dir, a folder that all of them see. Name one, and run `test` "
    "again"
)


def share_file(folder: Path, rank: int, index: int) -> Path:
    """Where a process puts its share of a set, which counts by its place among the sets."""
    return folder / f"{index}-{rank}.safetensors"


def write_share(file: Path, ids: Tensor, columns: list[Tensor], run: str) -> None:
    """Write a share, with checksums; takes twice its size in memory meanwhile.

    Args:
        file: see :func:`share_file`.
        ids: rows of the set, ascending, int64, shape ``(n,)``.
        columns: float64, shape ``(n,)`` each.
        run: a token of the run, for which the share is refused in any other.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    write_store(file, {"ids": ids, **{str(k): column for k, column in enumerate(columns)}}, {"run": run})


class StoredShare:
    """A share on disk; a :class:`ood_lightning.metrics.joined_scores.Share`.

    Args:
        file: that :func:`write_share` wrote, perhaps in another process.
        run: its token.

    Raises:
        FeatureError: of each method, where the file is missing, damaged or of another run.
    """

    def __init__(self, file: Path, run: str) -> None:
        self._file, self._provenance = file, {"run": run}
        self._sound: set[int] = set()  # columns that were compared with their checksums

    @cached_property
    def ids(self) -> Tensor:
        """Rows of the set, ascending, int64, shape ``(n,)``."""
        with opened(self._file, self._provenance, TO_DO) as store:
            return store.tensor("ids", (None,), torch.int64)

    def column(self, number: int, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows from `start` up to `stop` of one column, float64."""
        with opened(self._file, self._provenance, TO_DO) as store:
            if number not in self._sound:
                store.tensor(str(number), (len(self.ids),), torch.float64)
                self._sound.add(number)
            rows: Tensor = store.rows(str(number))[start : len(self.ids) if stop is None else stop]
            return rows
