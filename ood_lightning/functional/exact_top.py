"""The k best rows of a bank for each query, exactly: the same on every device, thread count and block size.

Float32 products are fast, but their last bits depend on the block, the threads and the device, so that the order of two
nearly equal texts would depend on them too. Float64 products of everything are exact enough and far too slow. So:

1. **Candidates.** Float32 products, one block of the bank at a time, choose the ``k + 8`` best rows of each query.
2. **Order.** A float32 product is off by at most ``slack``, the largest possible rounding error, so two that differ by
   more than twice that are in their true order. The products of all others, few as they are, are taken again in
   float64, added in one fixed order; of equal ones the lowest row comes first.
3. **Is that certain?** A row that was left out has a float32 product of at most the smallest candidate's, so its true
   product is at most that plus ``slack``. If the k-th product is above this bound, no row that was left out belongs to
   the best k, and the query is done. Otherwise (many equal texts) it is asked again with eight times as many spare
   candidates, in the end with the whole bank.

An example of step 3 with k = 1: the exact best is 0.91, the smallest candidate 0.89, and slack at D = 512 is 3.1e-5.
0.91 > 0.89 + 0.000031, so the best is certain. Had the smallest candidate been 0.90999, it would not be.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

from ood_lightning.functional.products import common_dtype, exact_products, longest, norms, product, rounding
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.running_best import RunningBest

_SPARE = 8  # candidates beyond k in the first round
_MORE_SPARE = 8  # times as many in every further round
_NORMS = 2**14  # rows whose lengths are taken at once
_ROWS = 1024  # queries of a block, where they are asked again
_PASS = 16  # blocks of queries that are compared with a block of the bank before the next one is read
_MOST_CANDIDATES = 2**21  # of the queries of a pass together: 72 MiB


def exact_top(
    queries: FeatureRows,
    bank: FeatureRows,
    k: int,
    block: int,
    row_blocks: Sequence[Tensor],
    *,
    exclude_self: bool,
    with_values: bool = True,
) -> tuple[Tensor, Tensor]:
    """The k rows of ``bank`` with the largest products, see the module's docstring.

    Peak memory beside the inputs: one product; a block of the bank in float32; for each query of 16 blocks 4 D bytes,
    and 36 for each of its candidates.

    Args:
        queries: unit vectors, shape ``(n_all, D)``.
        bank: unit vectors, shape ``(V, D)``; brought to float32 a block at a time.
        k: 1 to V (V - 1 with ``exclude_self``).
        block: rows of the bank per product.
        row_blocks: rows of ``queries`` to answer, int64, cut into blocks.
        exclude_self: query i may not choose row i of the bank.
        with_values: whether products are wanted; without them, few have to be taken in float64.

    Returns:
        Float64 products, descending, and int64 rows of the bank, both ``(n, k)``, where n rows were to be answered.
        Without ``with_values`` the products are empty, ``(0, k)``.

    Raises:
        ValueError: if D differs, the bank is empty, or a value is not finite.
    """
    dtype = common_dtype(queries, bank, block)
    longest_row = max(longest(part.to(dtype)) for part in bank.split(_NORMS))

    n = sum(len(rows) for rows in row_blocks)
    indices = torch.empty(n, k, dtype=torch.long, device=bank.device)
    values = torch.empty(n if with_values else 0, k, dtype=torch.float64, device=bank.device)
    numbers = torch.arange(n, device=bank.device).split([len(rows) for rows in row_blocks])
    todo = [(at, rows.to(bank.device)) for at, rows in zip(numbers, row_blocks, strict=True) if len(rows)]

    spare = _SPARE
    while todo:
        width, unsure = min(k + spare, len(bank)), []  # W candidates of each query

        for blocks in _passes(todo, width):
            queries_of = [queries[rows].to(dtype) for _, rows in blocks]
            best = _candidates(queries_of, bank, width, block)

            for (at, rows), of_block, (coarse, candidates) in zip(blocks, queries_of, best, strict=True):
                slack = rounding(bank.shape[1]) * longest_row * norms(of_block)  # (n,)
                bound = coarse.amin(dim=1).double() + slack  # no row that was left out is above it
                if exclude_self:
                    coarse = coarse.masked_fill(candidates == rows[:, None], -torch.inf)
                keys, ranked = _in_order(of_block, bank, coarse, candidates, slack, k)

                certain = (keys[:, k - 1] > bound) | (width == len(bank))
                indices[at[certain]] = ranked[certain, :k]
                if with_values:
                    values[at[certain]] = exact_products(of_block[certain], bank, ranked[certain, :k])
                if not certain.all():
                    unsure.append((at[~certain], rows[~certain]))

        todo = _cut(unsure, _MOST_CANDIDATES // (k + spare * _MORE_SPARE))
        spare *= _MORE_SPARE

    return values, indices


_Block: TypeAlias = tuple[Tensor, Tensor]  # places in the answer, and rows of the queries, both (n,)


def _cut(blocks: Sequence[_Block], n_rows: int) -> list[_Block]:
    """The same rows in blocks of equal size."""
    if not blocks:
        return []
    places, rows = (torch.cat(side).split(min(max(n_rows, 1), _ROWS)) for side in zip(*blocks, strict=True))
    return list(zip(places, rows, strict=True))


def _passes(blocks: Sequence[_Block], width: int) -> Iterator[list[_Block]]:
    """Blocks that are compared with the bank in one pass: as many as their candidates fit into memory, one at least."""
    together: list[_Block] = []
    for block in blocks:
        n = sum(len(rows) for _, rows in [*together, block])
        if together and (len(together) == _PASS or n * width > _MOST_CANDIDATES):
            yield together
            together = []
        together.append(block)
    yield together


def _candidates(queries: Sequence[Tensor], bank: FeatureRows, width: int, block: int) -> list[tuple[Tensor, Tensor]]:
    """For blocks of queries, the ``width`` largest float32 products of each, in no order, and their rows; (n, W)."""
    best = [RunningBest(len(one), width, one) for one in queries]

    for start in range(0, len(bank), block):
        part = bank[start : start + block].to(queries[0].dtype)
        for one, largest in zip(queries, best, strict=True):
            largest.add(product(one, part), start)  # (n, D) @ (D, block) -> (n, block)

    return [largest.result() for largest in best]


def _in_order(
    queries: Tensor, bank: FeatureRows, coarse: Tensor, candidates: Tensor, slack: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Candidates with the first k in their true order, of equal ones the lowest row first.

    Returns:
        What they are ordered by, float64: the float32 product where that settles the place, else the exact one; and
        their rows of the bank. Both (n, W).
    """
    keys, order = coarse.double().sort(dim=1, descending=True)
    rows = candidates.gather(1, order)

    # in a run of products that are close to the next one, all of them are unsure
    close = keys[:, :-1] - keys[:, 1:] <= 2 * slack[:, None]
    close[:, k - 1 :] = close[:, k - 1 :].cumprod(dim=1)  # beyond the k-th, only those of its own run matter
    unsure = pad(close, (0, 1)) | pad(close, (1, 0))  # (n, W)
    again = unsure.any(dim=1).nonzero()[:, 0]
    if not len(again):
        return keys, rows

    some_rows, by_row = rows[again].sort(dim=1)  # the stable sort below then puts the lowest row of equals first
    some_keys, unsure = keys[again].gather(1, by_row), unsure[again].gather(1, by_row)
    query, column = unsure.nonzero(as_tuple=True)
    some_keys[query, column] = exact_products(queries[again[query]], bank, some_rows[query, column][:, None])[:, 0]

    keys[again], order = some_keys.sort(dim=1, descending=True, stable=True)
    rows[again] = some_rows.gather(1, order)
    return keys, rows
