"""The nearest text of an image, where their products are known already."""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import top_k

_SURELY_FARTHER = 0.02  # cosines that differ by more are in order: bfloat16's products err by less than 0.01


def nearest(features: Tensor, texts: Tensor, products: Tensor) -> Tensor:
    """The text of highest cosine, as :func:`top_k` finds it, where the products of both are known already.

    Args:
        features: unit vectors, shape ``(B, D)``.
        texts: unit vectors, shape ``(V, D)``.
        products: their cosines, shape ``(B, V)``, in the precision of the device, bfloat16's at least.

    Returns:
        Rows of the texts, int64, shape ``(B,)``; of equal cosines the lowest.

    Raises:
        ValueError: as :func:`top_k`.

    Example:
        >>> from ood_lightning.functional.similarity import cosines
        >>> image, texts = torch.eye(2)[:1], torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
        >>> nearest(image, texts, cosines(image, texts))
        tensor([1])
    """
    if not len(features):
        return products.new_empty(0, dtype=torch.int64)

    is_far = (
        products < products.amax(dim=1, keepdim=True) - _SURELY_FARTHER
    )  # not where one is NaN, which top_k refuses
    rows = (~is_far).any(dim=0).nonzero()[:, 0]  # ascending, so that of equal cosines the lowest row stays the first
    return rows[top_k(features, texts[rows], 1).indices[:, 0]]
