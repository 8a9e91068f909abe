"""NegRefine's multi-matching score: does an image show an ID object beside what a negative label names?"""

from torch import Tensor


def multi_match(features: Tensor, pairs: Tensor, negatives: Tensor, scale: float) -> Tensor:
    """``max_ij sigmoid(scale (h . t_ij - h . z_j))`` over the pairs of an image's nearest positives and negatives.

    ``h`` is the image's feature, ``t_ij`` that of the text "positive i and negative j", ``z_j`` that of negative j
    alone. A positive that the image shows makes the joint text fit better than the negative alone.

    Args:
        features: unit image features, shape (B, D).
        pairs: features of the joint texts of each image, shape (B, I, J, D).
        negatives: features of each image's J nearest negatives, shape (B, J, D).
        scale: multiplier of the cosines; 100 in the paper.

    Returns:
        float64, shape (B,), in (0, 1); 1/2 where every joint text equals its negative.

    Raises:
        ValueError: if shapes do not fit or an image has no pair.

    Source: Ansari et al., ICCV 2025 (NegRefine), https://arxiv.org/abs/2507.09795.
    Differs: the sigmoid of the difference replaces the ratio of exponentials, which overflows in float32 above a cosine
        of 0.887; images are scored in batches, each with its own pairs, where the published code takes one at a time.

    Example:
        >>> import torch
        >>> h, t, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[[[0.6, 0.8]]]]), torch.tensor([[[0.6, -0.8]]])
        >>> multi_match(h, t, z, 100.0)
        tensor([0.5000], dtype=torch.float64)
    """
    if pairs.ndim != 4 or not pairs[0].numel() or negatives.shape != (len(pairs), *pairs.shape[2:]):
        raise ValueError(
            f"pairs {tuple(pairs.shape)} and negatives {tuple(negatives.shape)} must be (B, I, J, D) and (B, J, D), "
            f"with at least one pair"
        )

    h = features.double()
    joint = (pairs.double() @ h[:, None, :, None])[..., 0]  # (B, I, J, D) @ (B, 1, D, 1) -> (B, I, J)
    alone = (negatives.double() @ h[:, :, None])[..., 0]  # (B, J, D) @ (B, D, 1) -> (B, J)
    return (scale * (joint - alone[:, None])).flatten(1).amax(dim=1).sigmoid()
