"""Rows in several tensors, one after the other: a set whose shards are mapped from disk, without a copy of it all."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor


class JoinedRows:
    """What ``torch.cat(parts)`` would be, but nothing is copied before rows are asked for.

    Args:
        parts: tensors (n_i, ...) of one dtype, on one device and of one width; at least one.

    Raises:
        ValueError: if there are no parts or they differ.

    Example:
        >>> rows = JoinedRows([torch.tensor([[0], [1]]), torch.tensor([[2]])])
        >>> rows[torch.tensor([2, 0])].tolist(), rows[1:3].tolist()
        ([[2], [0]], [[1], [2]])
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        kinds = {(part.dtype, part.device, part.shape[1:]) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"{len(parts)} parts of {len(kinds)} kinds: expected rows of one dtype, width and device")

        self.parts = list(parts)
        self.dtype, self.device = parts[0].dtype, parts[0].device
        self._starts = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)  # of each part, and the end
        self.shape = torch.Size([int(self._starts[-1]), *parts[0].shape[1:]])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Of the tensor that this stands for."""
        return len(self.shape)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Rows ``start:stop``, or those of an int64 tensor of any shape, whose dimensions then come first."""
        if isinstance(rows, slice):
            return self._between(*rows.indices(len(self)))

        chosen = rows.flatten().cpu()
        if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(self):
            raise IndexError(f"rows {int(chosen.min())} to {int(chosen.max())} of {len(self)}")

        # read in the order of the parts, as few operations a part as can be: a batch touches most of a thousand
        ordered, order = chosen.sort()
        part_of_row = torch.searchsorted(self._starts, ordered, right=True) - 1
        numbers, counts = part_of_row.unique_consecutive(return_counts=True)
        within = (ordered - self._starts[part_of_row]).to(self.device).split(counts.tolist())
        read = [self.parts[n].index_select(0, these) for n, these in zip(numbers.tolist(), within, strict=True)]

        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))  # where each of the rows lies among those that were read
        joined_rows = torch.cat(read) if read else self.parts[0][:0]
        return joined_rows[back.to(self.device)].view(*rows.shape, *self.shape[1:])

    def _between(self, start: int, stop: int, step: int) -> Tensor:
        if step != 1:
            raise IndexError(f"a step of {step}, expected 1")

        pieces = []
        for part, first in zip(self.parts, self._starts.tolist(), strict=False):
            low, high = max(start - first, 0), min(stop - first, len(part))
            if low < high:
                pieces.append(part[low:high])

        if not pieces:
            return self.parts[0][:0]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def split(self, size: int) -> Iterator[Tensor]:
        """All rows, ``size`` at a time; only the last block may be shorter."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def to(self, device: torch.device | str) -> Tensor:
        """All rows as one tensor on a device, copied there part by part."""
        out = torch.empty(self.shape, dtype=self.dtype, device=device)
        for part, first in zip(self.parts, self._starts.tolist(), strict=False):
            out[first : first + len(part)] = part
        return out


FeatureRows: TypeAlias = Tensor | JoinedRows


def joined(parts: Sequence[Tensor]) -> FeatureRows:
    """A single part as it is, several as :class:`JoinedRows`."""
    return parts[0] if len(parts) == 1 else JoinedRows(parts)
