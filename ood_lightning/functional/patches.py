"""GL-MCM's local score: does any patch of an image show an ID name?"""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import cosines, unit


def local_match(patches: Tensor, names: Tensor, temperature: float = 1.0, *, block: int = 4096) -> Tensor:
    """``max_p max_k softmax_k(c(patch p, name k) / T)``, the local term of GL-MCM.

    The softmax runs over the names, separately for each patch. Peak memory beside the inputs: about ``block * K * 24``
    and ``block * D * 12`` bytes.

    Args:
        patches: local features of the L patches of each image, shape (B, L, D), any float dtype; normalised here,
            since the lengths of unit vectors in half precision are a little off 1.
        names: unit-norm text features of the ID names, shape (K, D).
        temperature: divides raw cosines.
        block: patches per product.

    Returns:
        float64, shape (B,), in (0, 1]; higher = more in-distribution. More patches never lower it.

    Raises:
        ValueError: if shapes do not fit, an image has no patches, or a patch is zero.

    Source: Miyai et al., IJCV 2025 (GL-MCM), https://arxiv.org/abs/2304.04521.

    Example:
        >>> local_match(torch.eye(2)[None], torch.eye(2), 0.01)
        tensor([1.], dtype=torch.float64)
    """
    if patches.ndim != 3 or not patches.shape[1] or patches.shape[2] != names.shape[-1]:
        raise ValueError(
            f"patches {tuple(patches.shape)} must be (B, L, D) with L of at least 1, names {tuple(names.shape)}"
        )

    flat = patches.flatten(0, 1)  # (B * L, D)
    # One result, allocated beforehand: small results between large temporary ones would keep malloc from reusing these.
    best = torch.empty(len(flat), dtype=torch.float64, device=patches.device)
    for part, result in zip(flat.split(block), best.split(block), strict=True):
        result.copy_(_largest_share(part, names, temperature))
    return best.view(patches.shape[:2]).amax(dim=1)


def _largest_share(patches: Tensor, names: Tensor, temperature: float) -> Tensor:
    """Largest softmax probability of each patch, float64, shape (n,): ``1 / sum_k exp(logit_k - largest logit)``."""
    logits = cosines(unit(patches), names).double() / temperature  # (n, K)
    return (logits - logits.amax(dim=1, keepdim=True)).exp_().sum(dim=1).reciprocal()
