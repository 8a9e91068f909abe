"""Products of unit vectors: fast ones in float32, how far they may be off, and exact ones in float64."""

import torch
from torch import Tensor

from ood_lightning.functional.rows import FeatureRows

_PIECE = 2**18  # float64 products held at once: 2 MiB, which stay in a processor's cache
_PIECE_ON_A_GPU = 2**24
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
    dtype = common_dtype(features, texts, block)
    return features.to(dtype), texts.to(dtype)


def product(features: Tensor, texts: Tensor) -> Tensor:
    """Cosines of unit vectors in their own precision: ``(B, D) @ (D, V) -> (B, V)``.

    A Trainer with mixed precision runs its steps under autocast, which would turn this product into bfloat16.
    """
    with torch.autocast(features.device.type, enabled=False):
        return features @ texts.T


def common_dtype(queries: FeatureRows, bank: FeatureRows, block: int) -> torch.dtype:
    """The wider of two float types, float32 at least.

    Args:
        queries: unit vectors, shape ``(B, D)``.
        bank: unit vectors, shape ``(V, D)``.
        block: rows of the bank per product, as the caller got it.

    Raises:
        ValueError: as :func:`same_precision`.
    """
    if queries.ndim != 2 or bank.ndim != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(
            f"features {tuple(queries.shape)} and texts {tuple(bank.shape)} must be (B, D) and (V, D) with one D: "
            f"were they made by the same encoder?"
        )
    if not len(bank) or block < 1:
        raise ValueError(f"{len(bank)} texts in blocks of {block}: expected at least one of each")
    return torch.promote_types(torch.promote_types(queries.dtype, bank.dtype), torch.float32)


def norms(rows: Tensor) -> Tensor:
    """Lengths, float64, shape ``(n,)``.

    Raises:
        ValueError: one is not finite.
    """
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1).double()
    if not lengths.isfinite().all():
        raise ValueError("features hold NaN or infinity: such a row has no nearest one")
    return lengths


def longest(rows: Tensor) -> float:
    """Length of the longest of them; raises as :func:`norms`."""
    return float(norms(rows).max())


def rounding(dim: int) -> float:
    """How far a float32 product of two unit vectors may be from the true one.

    A sum of D products errs by at most D roundings, and each of its two factors by one rounding to the precision that
    the device multiplies in.
    """
    try:
        of_input = _INPUT_ROUNDING[torch.get_float32_matmul_precision()]
    except RuntimeError:  # set through the newer per-backend switch: torch then refuses to say, so assume the worst
        of_input = _INPUT_ROUNDING["medium"]
    return dim * 2.0**-24 + 2 * of_input


def exact_products(queries: Tensor, bank: FeatureRows, candidates: Tensor) -> Tensor:
    """Products of query i with rows ``candidates[i]``, float64, shape ``(n, W)``.

    The product of two float32 numbers has 48 bits and is exact in float64's 53. Only the additions round, and their
    order depends on D alone: the upper half is added onto the lower one until one number is left. ``Tensor.sum`` may
    order its additions by shape, threads and device.
    """
    piece = _PIECE if queries.device.type == "cpu" else _PIECE_ON_A_GPU
    rows_at_once = max(1, piece // (candidates.shape[1] * bank.shape[1]))
    pieces = []

    for part, part_candidates in zip(queries.split(rows_at_once), candidates.split(rows_at_once), strict=True):
        products = bank[part_candidates].double() * part.double()[:, None]  # (n, W, D) * (n, 1, D) -> (n, W, D)

        width = products.shape[-1]
        while width > 1:
            half = (width + 1) // 2
            products[..., : width - half] += products[..., half:width]
            width = half

        pieces.append(products[..., 0].clone())  # a copy, so that the (n, W, D) numbers are freed

    return torch.cat(pieces)
