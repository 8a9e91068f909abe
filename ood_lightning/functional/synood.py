"""SynOOD: an adapter of image features and tuned negatives, both learned from synthetic OOD images.

Source: Li et al., ICCV 2025, https://arxiv.org/abs/2507.10225, and its code; that of the inference, which the authors
have announced, was not to be had here.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ood_lightning.functional.grouping import grouped_log_odds
from ood_lightning.functional.similarity import cosines, top_k, unit


class Adapter(NamedTuple):
    """Weights of :func:`adapted`: a linear layer and the layer normalisation after it."""

    weight: Tensor  # (D, D)
    bias: Tensor  # (D,)
    gain: Tensor  # (D,)
    shift: Tensor  # (D,)


def adapted(features: Tensor, adapter: Adapter) -> Tensor:
    """``f + relu(layer_norm(W f + b) * gain + shift)``, not re-normalised.

    With ``W = 0`` the layer normalisation gives 0, and the features do not change where ``shift <= 0``.

    Args:
        features: image features, shape ``(B, D)``.
        adapter: of the same D and dtype.

    Returns:
        Same shape and dtype; ignores autocast.

    Raises:
        ValueError: if shapes do not fit.

    Example:
        >>> zero = Adapter(torch.zeros(2, 2), torch.zeros(2), torch.ones(2), torch.zeros(2))
        >>> adapted(torch.tensor([[0.6, -0.8]]), zero)
        tensor([[ 0.6000, -0.8000]])
    """
    dim = features.shape[-1]
    shapes = [tuple(part.shape) for part in adapter]
    if features.ndim != 2 or shapes != [(dim, dim), (dim,), (dim,), (dim,)]:
        raise ValueError(f"features {tuple(features.shape)} must be (B, D), the adapter {shapes} (D, D) and three (D,)")

    with torch.autocast(features.device.type, enabled=False):
        hidden = F.linear(features, adapter.weight, adapter.bias)  # (B, D)
        return features + F.layer_norm(hidden, (dim,), adapter.gain, adapter.shift).relu()


def nearest_used(images: Tensor, negatives: Tensor, block: int = 8192) -> tuple[Tensor, Tensor]:
    """Label each synthetic image with the negative it is most similar to.

    Args:
        images: unit features of synthetic images, shape ``(n, D)``.
        negatives: unit text features, shape ``(N, D)``.
        block: images at a time.

    Returns:
        Rows of the negatives that are the nearest of at least one image, ascending, int64, shape ``(U,)``; and for each
        image the position of its nearest negative among these, int64, shape ``(n,)``.

    Raises:
        ValueError: if there are no images or no negatives, or D differs.

    Example:
        >>> nearest_used(torch.eye(4)[[3, 1, 3]], torch.eye(4))
        (tensor([1, 3]), tensor([1, 0, 1]))
    """
    if not len(images):
        raise ValueError("there are no synthetic pictures to label")

    nearest = torch.cat([top_k(part, negatives, 1).indices[:, 0] for part in images.split(block)])
    used, position = nearest.unique(sorted=True, return_inverse=True)
    return used, position


def image_side_loss(features: Tensor, classes: Tensor, texts: Tensor, adapter: Adapter, scale: float) -> Tensor:
    """Cross-entropy of re-normalised adapted features against fixed texts, in nats, averaged over the batch.

    Args:
        features: of ID and synthetic images, unit or at the projection's own length, shape ``(B, D)``.
        classes: rows of ``texts``, int64, shape ``(B,)``.
        texts: unit features of the ID names, then of the used negatives, shape ``(P + U, D)``.
        adapter: what is trained.
        scale: CLIP's multiplier of the cosines.
    """
    return F.cross_entropy(scale * cosines(unit(adapted(features, adapter)), texts), classes)


def text_side_loss(features: Tensor, classes: Tensor, tuned: Tensor, scale: float) -> Tensor:
    """Cross-entropy of plain features against the tuned negatives alone, in nats, averaged over the batch.

    Args:
        features: unit features of synthetic images, shape ``(B, D)``; the adapter is not applied.
        classes: rows of ``tuned``, int64, shape ``(B,)``.
        tuned: what is trained: embeddings of the used negatives, not normalised, shape ``(U, D)``.
        scale: CLIP's multiplier of the cosines.
    """
    return F.cross_entropy(scale * cosines(features, unit(tuned)), classes)


def adapted_log_odds(
    features: Tensor,
    positives: Tensor,
    negatives: Tensor,
    adapter: Adapter,
    scale: float,
    groups: int,
    permutation_seed: int | None,
) -> Tensor:
    """NegLabel's grouped score, :func:`grouped_log_odds`, of adapted features against tuned negatives.

    Args:
        features: image features, of the length that the adapter was trained on, shape ``(B, D)``.
        positives: unit text features, shape ``(P, D)``.
        negatives: text features, tuned or not, shape ``(N, D)``; normalised here.
        adapter: of the image features, which are normalised again after it.
        scale: multiplier of the cosines.
        groups: as in :func:`grouped_log_odds`.
        permutation_seed: as in :func:`grouped_log_odds`.

    Returns:
        Nats, float64, shape ``(B,)``; equal to NegLabel's where the adapter and the tuning changed nothing.
    """
    return grouped_log_odds(
        unit(adapted(features, adapter)), positives, unit(negatives), scale, groups, permutation_seed
    )
