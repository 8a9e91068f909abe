"""Image-text and image-image products in blocks: log-mass, top-k, neighbours.

Nothing here holds all images times all texts: of each block's product only what is wanted is kept. All functions but
:func:`unit` take unit vectors, and ignore autocast.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_SPARE = 8  # candidates beyond k; eight times more where they turn out too few
_CACHED = 2**19  # float64 numbers: 4 MiB
_PIECE = 2**22  # float64 products held at once while candidates are scored again: 32 MiB
_INPUT_ROUNDING = {"highest": 2.0**-24, "high": 2.0**-11, "medium": 2.0**-8}  # float32, TF32, bfloat16


class Top(NamedTuple):
    """The best texts of each image; of equal cosines the lowest row comes first."""

    values: Tensor  # cosines, float64, (B, k), descending
    indices: Tensor  # rows of the texts, int64, (B, k)


def unit(x: Tensor) -> Tensor:
    """Scale vectors to length one.

    Args:
        x: vectors, shape ``(..., D)``, any float dtype.

    Returns:
        Same shape; half precision comes back as float32, since a norm overflows float16 at 65,504.

    Raises:
        ValueError: if a vector is zero or not finite; names the first one.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    bad = ((norms == 0) | ~norms.isfinite()).flatten().nonzero()[:, 0]
    if len(bad):
        kind = "is zero" if norms.flatten()[bad[0]] == 0 else "holds NaN or infinity"
        raise ValueError(f"row {int(bad[0])} {kind} ({len(bad)} of {norms.numel()} rows are bad): it has no direction")
    return x / norms


def cosines(features: Tensor, texts: Tensor) -> Tensor:
    """All products of few texts, such as the ID names; holds B * V * 4 bytes, so use the functions below for a corpus.

    Args:
        features: unit vectors, shape ``(B, D)``.
        texts: unit vectors, shape ``(V, D)``.

    Returns:
        Cosines, float32 (float64 if an input is), shape ``(B, V)``.

    Raises:
        ValueError: if there are no texts or the dimensions differ.
    """
    features, texts = _matching(features, texts, 1)
    return _product(features, texts)


def log_mass(features: Tensor, texts: Tensor, scale: float, *, block: int = 8192) -> Tensor:
    """Log of the softmax mass that texts receive: ``log sum_v exp(scale * cosine_v)``.

    The product is taken in the features' float32 (half is cast, float64 kept), the sum in float64: at a scale of 1000
    a cosine off by 1e-7 moves the result by 1e-4 nats. TF32 would make that one nat, so leave
    ``torch.set_float32_matmul_precision`` at ``"highest"``. Peak memory beside the inputs: ``B * block * 4`` bytes
    and 8 MiB on a processor, three times the former on a GPU.

    Args:
        features: unit image features, shape ``(B, D)``.
        texts: unit text features, shape ``(V, D)``.
        scale: multiplier of the cosines, ``1 / temperature``; CLIP's is about 100.
        block: texts per product.

    Returns:
        Nats, float64, shape ``(B,)``.

    Raises:
        ValueError: if there are no texts, D differs, or the scale is not positive.

    Source: ClusterMine, https://arxiv.org/abs/2511.07068, Eq. 1.

    Example:
        >>> log_mass(torch.eye(2), torch.eye(2), 1.0)  # log(e + 1)
        tensor([1.3133, 1.3133], dtype=torch.float64)
    """
    features, texts = _matching(features, texts, block, scale)
    total = torch.full((len(features),), -torch.inf, dtype=torch.float64, device=features.device)
    for part in texts.split(block):
        total = torch.logaddexp(total, _log_sum_exp(_product(features, part), scale))
    return total


def log_masses(features: Tensor, texts: Tensor, scale: float, *, groups: Tensor, block: int = 8192) -> Tensor:
    """Log-mass of each group of texts, see :func:`log_mass` (precision and memory too).

    Args:
        features: unit image features, shape ``(B, D)``.
        texts: unit text features, shape ``(V, D)``.
        scale: multiplier of the cosines.
        groups: rows of ``texts``, integers, shape ``(G, n)``; groups may share rows.
        block: texts per product.

    Returns:
        Nats, float64, shape ``(B, G)``.

    Raises:
        ValueError: as :func:`log_mass`; if a group is empty or names a row that is not there.

    Source: NegLabel, Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078 (grouping).
    """
    features, texts = _matching(features, texts, block, scale)
    if groups.ndim != 2 or not groups.numel() or groups.min() < 0 or groups.max() >= len(texts):
        raise ValueError(f"groups {tuple(groups.shape)} must be (G, n) rows of the {len(texts)} texts, none empty")
    size = groups.shape[1]
    if size > block:
        return torch.stack([log_mass(features, texts[rows], scale, block=block) for rows in groups], dim=1)
    masses = []
    for some in groups.split(block // size):  # whole groups, at most `block` texts together
        product = _product(features, texts[some.flatten()])
        masses.append(_log_sum_exp(product.view(len(features), len(some), size), scale))
    return torch.cat(masses, dim=1)


def top_k(features: Tensor, texts: Tensor, k: int, *, block: int = 8192, row_block: int = 1024) -> Top:
    """The k texts of highest cosine, the same for every block size, thread count and device.

    Float32 products choose candidates; these are scored again in float64 in a fixed order of additions. Where float32
    cannot tell the k-th from what was left out (many equal texts), more candidates are taken.
    Peak memory beside the inputs: about ``row_block * block * 4`` bytes, and 64 MiB.

    Args:
        features: unit features, shape ``(B, D)``.
        texts: unit features, shape ``(V, D)``.
        k: how many of them, 1 to V.
        block: texts per product.
        row_block: features per product.

    Returns:
        Float64 cosines and int64 rows, each ``(B, k)``, descending.

    Raises:
        ValueError: if k is not in 1..V, D differs, or a value is not finite.
    """
    if not 1 <= k <= len(texts):
        raise ValueError(f"k is {k}, expected 1 to {len(texts)} (the number of texts)")
    return _exact_top(features, texts, k, block, torch.arange(len(features)).split(row_block), exclude=False)


def neighbours(
    features: Tensor, k: int, *, block: int = 8192, row_block: int = 1024, rows: range | None = None
) -> Tensor:
    """The k nearest other images by cosine, exact as :func:`top_k`; two copies of one image are neighbours.

    Args:
        features: unit features, shape ``(n_all, D)``.
        k: neighbours each, less than ``n_all``.
        block: features per product on the side that is searched.
        row_block: features per product on the side that asks.
        rows: the images that ask, so that ranks can share the work; all of them if None.

    Returns:
        Rows of ``features``, int64, shape ``(n, k)``, nearest first.

    Raises:
        ValueError: if k is not in 1..n_all - 1, rows lie outside, or a value is not finite.

    Source: TEMI, Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896.
    Differs: excludes an image by its row. Above 80,000 images the published code hides columns 0..63 of each chunk
    instead, so that nearly every image is its own first neighbour.
    """
    if not 1 <= k < len(features):
        raise ValueError(f"k is {k}, expected 1 to {len(features) - 1} (one less than the number of images)")
    rows = range(len(features)) if rows is None else rows
    if len(rows) and (min(rows) < 0 or max(rows) >= len(features)):
        raise ValueError(f"rows {rows} lie outside the {len(features)} images")
    asking = torch.tensor(rows, dtype=torch.long).split(row_block)
    return _exact_top(features, features, k, block, asking, exclude=True).indices


def _exact_top(queries: Tensor, bank: Tensor, k: int, block: int, asking: Sequence[Tensor], exclude: bool) -> Top:
    """The best k rows of ``bank`` for rows ``asking`` of ``queries``; ``exclude`` bars a query's own row."""
    queries, bank = _matching(queries, bank, block)
    query_norms, bank_norms = (torch.linalg.vector_norm(side, dim=1).double() for side in (queries, bank))
    if not (query_norms.isfinite().all() and bank_norms.isfinite().all()):
        raise ValueError("features hold NaN or infinity: such a row has no nearest one")
    try:
        rounding = _INPUT_ROUNDING[torch.get_float32_matmul_precision()]
    except RuntimeError:  # set through the newer per-backend switch: torch then refuses to say, so assume the worst
        rounding = _INPUT_ROUNDING["medium"]
    # A row left out errs in its float32 product by at most D roundings of the sum and one of each factor.
    slack = (bank.shape[1] * 2.0**-24 + 2 * rounding) * bank_norms.max() * query_norms
    parts = []
    for rows in asking:
        rows = rows.to(queries.device)
        part = Top(slack.new_empty(len(rows), k), slack.new_empty(len(rows), k, dtype=torch.long))
        pending, spare = torch.arange(len(rows), device=rows.device), _SPARE
        while len(pending):
            width, own = min(k + spare, len(bank)), rows[pending]
            asked = queries[own]
            coarse, found = _candidates(asked, bank, width, block)
            found = found.sort(dim=1).values  # the stable sort below then puts the lowest of equals first
            exact = _dots(asked, bank, found)
            exact = exact.masked_fill((found == own[:, None]) & exclude, -torch.inf)
            exact, order = exact.sort(dim=1, descending=True, stable=True)
            sure = (exact[:, k - 1] > coarse.amin(dim=1).double() + slack[own]) | (width == len(bank))
            part.values[pending[sure]] = exact[sure, :k]
            part.indices[pending[sure]] = found.gather(1, order)[sure, :k]
            pending, spare = pending[~sure], spare * 8
        parts.append(part)
    return Top(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _candidates(queries: Tensor, bank: Tensor, width: int, block: int) -> tuple[Tensor, Tensor]:
    """The ``width`` largest float32 products of each query, in no order, and their rows of ``bank``."""
    best = queries.new_empty(len(queries), 0)
    found = torch.empty_like(best, dtype=torch.long)
    for start in range(0, len(bank), block):
        product = _product(queries, bank[start : start + block])
        best_here, found_here = product.topk(min(width, product.shape[1]), dim=1, sorted=False)
        best, found = torch.cat([best, best_here], dim=1), torch.cat([found, found_here + start], dim=1)
        best, kept = best.topk(min(width, best.shape[1]), dim=1, sorted=False)
        found = found.gather(1, kept)
    return best, found


def _dots(queries: Tensor, bank: Tensor, found: Tensor) -> Tensor:
    """Products of query i with rows ``found[i]`` in float64, added in an order that depends on D alone."""
    rows = max(1, _PIECE // (found.shape[1] * bank.shape[1]))
    pieces = []
    for asked, some in zip(queries.split(rows), found.split(rows), strict=True):
        terms = asked.double()[:, None] * bank[some].double()  # exact: float32 has 24 bits, float64 has 53
        width = terms.shape[-1]
        while width > 1:  # `sum` may order its additions by shape, threads and device; halving does not
            half = (width + 1) // 2
            terms[..., : width - half] += terms[..., half:width]
            width = half
        pieces.append(terms[..., 0].clone())
    return torch.cat(pieces)


def _product(features: Tensor, texts: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):  # a mixed-precision Trainer would make it bfloat16
        return features @ texts.T


def _log_sum_exp(cosines: Tensor, scale: float) -> Tensor:
    """Over the last dim in float64; ``torch.logsumexp`` would hold one more copy.

    On a processor a few rows at a time: float64 copies that stay in its cache made this four times faster.
    """
    rows = max(1, _CACHED // cosines[:1].numel()) if cosines.device.type == "cpu" and len(cosines) else len(cosines)
    if rows < len(cosines):
        return torch.cat([_log_sum_exp(part, scale) for part in cosines.split(rows)])
    top = cosines.amax(dim=-1, keepdim=True).double()
    return (cosines - top).mul_(scale).exp_().sum(dim=-1).log() + scale * top[..., 0]


def _matching(features: Tensor, texts: Tensor, block: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    if features.ndim != 2 or texts.ndim != 2 or features.shape[1] != texts.shape[1]:
        raise ValueError(
            f"features {tuple(features.shape)} and texts {tuple(texts.shape)} must be (B, D) and (V, D) with one D: "
            f"were they made by the same encoder?"
        )
    if not len(texts) or block < 1:
        raise ValueError(f"{len(texts)} texts in blocks of {block}: expected at least one of each")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale}, expected CLIP's multiplier itself (about 100), finite and above 0")
    dtype = torch.promote_types(torch.promote_types(features.dtype, texts.dtype), torch.float32)
    return features.to(dtype), texts.to(dtype)
