"""Work in blocks: smaller ones where a GPU runs out of memory, and rows few enough for a processor's cache."""

from collections.abc import Callable

import torch
from torch import Tensor

_CACHED = 2**18  # float64 numbers that stay in a processor's cache: 2 MiB


def in_blocks(n: int, block: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for ``0..n`` in blocks; out of memory, it goes on from there with half the block.

    Args:
        n: of items in all.
        block: items at once, at least 1.
        work: changes nothing before it has all the memory that it needs, since a call that had too little is repeated.

    Raises:
        torch.cuda.OutOfMemoryError: one item is too many.

    Example:
        >>> in_blocks(5, 2, lambda start, stop: print(start, stop))
        0 2
        2 4
        4 5
    """
    start = 0
    while start < n:
        stop = min(start + block, n)
        if _fits(work, start, stop):
            start = stop
        else:  # the exception is gone, and with it the tensors of its frames
            block = (stop - start) // 2


def _fits(work: Callable[[int, int], None], start: int, stop: int) -> bool:
    try:
        work(start, stop)
    except torch.cuda.OutOfMemoryError:
        if stop - start == 1:
            raise
        return False
    return True


def in_cached_rows(work: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """``work(*rows)``, on a processor a few rows at a time, so that float64 copies of them stay in its cache.

    Args:
        work: of rows (n, K) to results of length n, each of its own row alone.
        rows: one tensor or several of one shape (B, K).

    Returns:
        Results of length B.
    """
    first = rows[0]
    at_once = max(1, _CACHED // max(1, first[:1].numel()))
    if first.device.type != "cpu" or at_once >= len(first):
        return work(*rows)
    return torch.cat([work(*parts) for parts in zip(*(one.split(at_once) for one in rows), strict=True)])
