"""JoinedScores: the shares of all processes as one table, read a column or some rows at a time."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ood_lightning.errors import ShardCountError


class Share(Protocol):
    """What one process scored of a set, in memory or on disk."""

    @property
    def ids(self) -> Tensor:
        """Rows of the set, ascending, int64, shape ``(n,)``."""

    def column(self, number: int, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows from `start` up to `stop` of one column, float64."""


class JoinedScores:
    """All scores of a set, each row once. Beside its shares it holds their ids, 8 bytes a row.

    Args:
        name: of the set.
        shares: one of each process; together they hold each row of the set once.
        n: rows of the set.
        n_columns: K.

    Raises:
        ShardCountError: rows are missing, come twice, or are none of the set.
    """

    def __init__(self, name: str, shares: Sequence[Share], n: int, n_columns: int) -> None:
        self._shares, self._n, self._n_columns = shares, n, n_columns
        self._ids = [share.ids for share in shares]

        seen = torch.zeros(n, dtype=torch.bool)
        for ids in self._ids:
            seen[ids[(ids >= 0) & (ids < n)]] = True
        n_seen, n_rows = int(seen.sum()), sum(map(len, self._ids))
        if n_seen != n or n_rows != n:
            raise ShardCountError(f"set {name!r} ({n_rows - n_seen} scored twice)", n_seen, n)

    def __len__(self) -> int:
        return self._n

    def column(self, number: int) -> Tensor:
        """One column in the order of the set, float64, shape ``(n,)``."""
        values = torch.empty(self._n, dtype=torch.float64)
        for share, ids in zip(self._shares, self._ids, strict=True):
            values[ids] = share.column(number)
        return values

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows from `start` up to `stop` of all columns, float64, shape ``(K, stop - start)``."""
        values = torch.empty(self._n_columns, stop - start, dtype=torch.float64)
        for share, ids in zip(self._shares, self._ids, strict=True):
            first, last = torch.searchsorted(ids, torch.tensor([start, stop])).tolist()
            if first < last:
                of_share = [share.column(number, first, last) for number in range(self._n_columns)]
                values[:, ids[first:last] - start] = torch.stack(of_share)

        return values
