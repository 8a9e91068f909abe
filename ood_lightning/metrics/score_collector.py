"""ScoreCollector: the scores of one set that one process computed, each with its image's id.

Differs: torchmetrics' own ROC metrics send scores outside [0, 1] through a sigmoid, batch by batch, and call NaN a
perfect score; here scores are only kept, and ``functional.ranked`` sees them raw. Nor are they gathered: each process
keeps its share, and :mod:`ood_lightning.metrics.joined_scores` reads what is wanted of it.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ood_lightning.errors import NotFiniteScoresError

BLOCK = 65_536  # rows kept in one piece


class ScoreCollector:
    """One process's share of the scores of one set, in float64 on the CPU: 8 bytes for each column and for the id.

    Args:
        names: the columns of scores, the detectors.

    Attributes:
        ids: of the images, int64, shape ``(n,)``; ascending once :meth:`in_order` was called.

    Raises:
        ValueError: if there are no names or one occurs twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"names are {self.names}: expected at least one detector, each named once")

        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._ids: list[Tensor] = []
        self._n = 0
        # Blocks of columns, (K, BLOCK), that are filled in turn: a column is read without its neighbours, and nothing
        # that is there already moves when more comes.
        self._blocks: list[Tensor] = []

    def __len__(self) -> int:
        return self._n

    @property
    def ids(self) -> Tensor:
        """Ids in the order of the rows."""
        return torch.cat([torch.empty(0, dtype=torch.long), *self._ids])

    def update(self, scores: Tensor, ids: Tensor) -> None:
        """Take one batch.

        Args:
            scores: one column per detector, shape ``(B, K)``; higher = more in-distribution.
            ids: a number per image that is the same on every rank and in every run, integers, shape ``(B,)``.

        Raises:
            NotFiniteScoresError: if a score is NaN or infinite; names the detector and the first image.
            ValueError: if shapes do not fit or the ids are not integers.
        """
        if scores.ndim != 2 or scores.shape[1] != len(self.names) or ids.shape != scores.shape[:1]:
            raise ValueError(
                f"scores {tuple(scores.shape)} and ids {tuple(ids.shape)} must be (B, {len(self.names)}) and (B,), one "
                f"column for each of {', '.join(self.names)}"
            )
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise ValueError(f"ids are {ids.dtype}, expected integers: float32 cannot tell 16,777,217 from 16,777,216")

        not_finite = ~scores.isfinite()  # (B, K)
        if not_finite.any():
            column = int(not_finite.any(dim=0).nonzero()[0])
            wrong = ids[not_finite[:, column]]
            raise NotFiniteScoresError(
                f"detector {self.names[column]!r} gave NaN or infinity for {len(wrong)} of {len(ids)} images of a "
                f"batch, the first with id {int(wrong[0])}"
            )

        self._ids.append(ids.detach().long().cpu().clone())
        self._append(scores.detach().T.double().cpu())  # in float64: bfloat16 scores would tie

    def _append(self, columns: Tensor) -> None:
        """Take further rows, shape (K, B)."""
        while columns.shape[1]:
            at = self._n % BLOCK
            if at == 0:
                self._blocks.append(torch.empty(len(self.names), BLOCK, dtype=torch.float64))
            fitting = columns[:, : BLOCK - at]
            self._blocks[-1][:, at : at + fitting.shape[1]] = fitting
            self._n += fitting.shape[1]
            columns = columns[:, fitting.shape[1] :]

    def in_order(self) -> Self:
        """The same rows by ascending id; itself, where they came so."""
        ids, order = self.ids.sort(stable=True)
        if torch.equal(order, torch.arange(self._n)):
            return self

        ordered = type(self)(self.names)
        for rows in order.split(BLOCK):
            ordered._append(torch.stack([self.column(k)[rows] for k in range(len(self.names))]))
        ordered._ids = [ids]
        return ordered

    def column(self, number: int, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows from `start` up to `stop` of one column, float64; all by default."""
        stop = self._n if stop is None else stop
        pieces = [torch.empty(0, dtype=torch.float64)]
        for first in range(start - start % BLOCK, stop, BLOCK):
            block = self._blocks[first // BLOCK]
            pieces.append(block[number, max(start - first, 0) : min(stop - first, BLOCK)])

        return torch.cat(pieces)
