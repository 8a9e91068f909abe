"""The one matrix product under all cosines: float32 or float64, never half precision, checked shapes."""

import torch
from torch import Tensor


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
