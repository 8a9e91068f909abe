"""Concept matching of single patches: does any place of a picture show an ID name?"""

from torch import Tensor

from ood_lightning.functional.confidence import log_max_softmax


def local_match(patches: Tensor, names: Tensor, temperature: float = 1.0) -> Tensor:
    """``max_p max_k softmax(c(patch p, name k) / T)``, the local term of GL-MCM.

    The softmax runs over the names, for each patch alone. Holds B * L * K * 8 bytes of logits.

    Args:
        patches: unit-norm features of the L patches of each picture, shape (B, L, D).
        names: unit-norm text features of the ID names, shape (K, D).
        temperature: divides raw cosines.

    Returns:
        float64, shape (B,), in (0, 1]; higher = more in-distribution. More patches never lower it.

    Raises:
        ValueError: if shapes do not fit or a picture has no patches.

    Source: Miyai et al., IJCV 2025 (GL-MCM), https://arxiv.org/abs/2304.04521.

    Example:
        >>> import torch
        >>> local_match(torch.eye(2)[None], torch.eye(2), 0.01)
        tensor([1.], dtype=torch.float64)
    """
    if patches.ndim != 3 or not patches.shape[1] or patches.shape[2] != names.shape[-1]:
        raise ValueError(
            f"patches {tuple(patches.shape)} must be (B, L, D) with L of at least 1, names {tuple(names.shape)}"
        )
    logits = patches.double() @ names.double().T / temperature  # (B, L, K)
    return log_max_softmax(logits.flatten(0, 1)).view(logits.shape[:2]).amax(dim=1).exp()
