"""The k best rows of a bank for each query, exactly: the same on every device, thread count and block size.

Float32 products are fast, but their last bits depend on the block, the threads and the device, so that the order of two
nearly equal texts would depend on them too. Float64 products of everything are exact enough and far too slow. So:

1. **Candidates.** Float32 products, one block of the bank at a time, choose the ``k + 8`` best rows of each query.
2. **Exact products.** The products of these few rows are taken again in float64, added in one fixed order, and sorted;
   of equal ones the lowest row comes first.
3. **Is that certain?** A row that was left out has a float32 product of at most the smallest candidate's, so its true
   product is at most that plus ``slack``, the largest possible rounding error. If the exact k-th product is above
   this bound, no row that was left out belongs to the best k, and the query is done. Otherwise (many equal texts) it
   is asked again with eight times as many spare candidates, in the end with the whole bank.

An example of step 3 with k = 1: the exact best is 0.91, the smallest candidate 0.89, and slack at D = 512 is 3.1e-5.
0.91 > 0.89 + 0.000031, so the best is certain. Had the smallest candidate been 0.90999, it would not be.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_SPARE = 8  # candidates beyond k in the first round
_MORE_SPARE = 8  # times as many in every further round
_PIECE = 2**22  # float64 products held at once in step 2: 32 MiB
_INPUT_ROUNDING = {"highest": 2.0**-24, "high": 2.0**-11, "medium": 2.0**-8}  # float32, TF32, bfloat16


def same_precision(features: Tensor, texts: Tensor, block: int = 1) -> tuple[Tensor, Tensor]:
    """Both sides in the wider of their float types, float32 at least.

    Float16 and bfloat16 carry 11 and 8 bits: the cosines 0.901 and 0.903 are one number in bfloat16.

    Args:
        features: unit vectors, shape ``(B, D)``, any float type.
        texts: unit vectors, shape ``(V, D)``, any float type.
        block: texts per product, as the caller got it; checked here for all callers.

    Raises:
        ValueError: if there are no texts, the dimensions differ, or a block holds no text.
    """
    if features.ndim != 2 or texts.ndim != 2 or features.shape[1] != texts.shape[1]:
        raise ValueError(
            f"features {tuple(features.shape)} and texts {tuple(texts.shape)} must be (B, D) and (V, D) with one D: "
            f"were they made by the same encoder?"
        )
    if not len(texts) or block < 1:
        raise ValueError(f"{len(texts)} texts in blocks of {block}: expected at least one of each")

    dtype = torch.promote_types(torch.promote_types(features.dtype, texts.dtype), torch.float32)
    return features.to(dtype), texts.to(dtype)


def product(features: Tensor, texts: Tensor) -> Tensor:
    """Cosines of unit vectors in their own precision: ``(B, D) @ (D, V) -> (B, V)``.

    A Trainer with mixed precision runs its steps under autocast, which would turn this product into bfloat16.
    """
    with torch.autocast(features.device.type, enabled=False):
        return features @ texts.T


def exact_top(
    queries: Tensor, bank: Tensor, k: int, block: int, row_blocks: Sequence[Tensor], *, exclude_self: bool
) -> tuple[Tensor, Tensor]:
    """The k rows of ``bank`` with the largest products, see the module's docstring.

    Args:
        queries: unit vectors, shape ``(n_all, D)``.
        bank: unit vectors, shape ``(V, D)``.
        k: 1 to V (V - 1 with ``exclude_self``).
        block: rows of the bank per product.
        row_blocks: rows of ``queries`` to answer, int64, cut into blocks.
        exclude_self: query i may not choose row i of the bank.

    Returns:
        Float64 products, descending, and int64 rows of the bank, both ``(n, k)``, where n rows were to be answered.

    Raises:
        ValueError: if D differs, the bank is empty, or a value is not finite.
    """
    queries, bank = same_precision(queries, bank, block)
    slack = _slack(queries, bank)  # (n_all,)

    values, indices = [], []
    for rows in (block_of_rows.to(queries.device) for block_of_rows in row_blocks):
        block_values = slack.new_empty(len(rows), k)
        block_indices = slack.new_empty(len(rows), k, dtype=torch.long)

        pending = torch.arange(len(rows), device=rows.device)  # positions in `rows` that are not certain yet
        spare = _SPARE
        while len(pending):
            query_rows = rows[pending]
            width = min(k + spare, len(bank))  # W candidates of each query

            coarse, candidates = _candidates(queries[query_rows], bank, width, block)  # both (n, W)
            candidates = candidates.sort(dim=1).values  # the stable sort below then puts the lowest row of equals first
            exact = _exact_products(queries[query_rows], bank, candidates)  # (n, W)
            exact = exact.masked_fill((candidates == query_rows[:, None]) & exclude_self, -torch.inf)
            exact, order = exact.sort(dim=1, descending=True, stable=True)

            bound = coarse.amin(dim=1).double() + slack[query_rows]  # no row that was left out is above it
            certain = (exact[:, k - 1] > bound) | (width == len(bank))
            block_values[pending[certain]] = exact[certain, :k]
            block_indices[pending[certain]] = candidates.gather(1, order)[certain, :k]

            pending = pending[~certain]
            spare *= _MORE_SPARE

        values.append(block_values)
        indices.append(block_indices)

    return torch.cat(values), torch.cat(indices)


def _slack(queries: Tensor, bank: Tensor) -> Tensor:
    """How far a float32 product of each query may be from the true one: float64, shape ``(n_all,)``.

    A sum of D products errs by at most D roundings, and each of its two factors by one rounding to the precision that
    the device multiplies in, all relative to the lengths of the two vectors.
    """
    query_norms, bank_norms = (torch.linalg.vector_norm(side, dim=1).double() for side in (queries, bank))
    if not (query_norms.isfinite().all() and bank_norms.isfinite().all()):
        raise ValueError("features hold NaN or infinity: such a row has no nearest one")

    try:
        rounding = _INPUT_ROUNDING[torch.get_float32_matmul_precision()]
    except RuntimeError:  # set through the newer per-backend switch: torch then refuses to say, so assume the worst
        rounding = _INPUT_ROUNDING["medium"]

    return torch.mul((bank.shape[1] * 2.0**-24 + 2 * rounding) * bank_norms.max(), query_norms)


def _candidates(queries: Tensor, bank: Tensor, width: int, block: int) -> tuple[Tensor, Tensor]:
    """The ``width`` largest float32 products of each query, in no order, and their rows of ``bank``; both (n, W)."""
    best = queries.new_empty(len(queries), 0)
    best_rows = torch.empty_like(best, dtype=torch.long)

    for start in range(0, len(bank), block):
        products = product(queries, bank[start : start + block])  # (n, D) @ (D, block) -> (n, block)
        new, new_rows = products.topk(min(width, products.shape[1]), dim=1, sorted=False)

        best = torch.cat([best, new], dim=1)
        best_rows = torch.cat([best_rows, new_rows + start], dim=1)
        best, kept = best.topk(min(width, best.shape[1]), dim=1, sorted=False)
        best_rows = best_rows.gather(1, kept)

    return best, best_rows


def _exact_products(queries: Tensor, bank: Tensor, candidates: Tensor) -> Tensor:
    """Products of query i with rows ``candidates[i]``, float64, shape ``(n, W)``.

    The product of two float32 numbers has 48 bits and is exact in float64's 53. Only the additions round, and their
    order depends on D alone: the upper half is added onto the lower one until one number is left. ``Tensor.sum`` may
    order its additions by shape, threads and device.
    """
    rows_at_once = max(1, _PIECE // (candidates.shape[1] * bank.shape[1]))
    pieces = []

    for part, part_candidates in zip(queries.split(rows_at_once), candidates.split(rows_at_once), strict=True):
        products = part.double()[:, None] * bank[part_candidates].double()  # (n, 1, D) * (n, W, D) -> (n, W, D)

        width = products.shape[-1]
        while width > 1:
            half = (width + 1) // 2
            products[..., : width - half] += products[..., half:width]
            width = half

        pieces.append(products[..., 0].clone())  # a copy, so that the (n, W, D) numbers are freed

    return torch.cat(pieces)
