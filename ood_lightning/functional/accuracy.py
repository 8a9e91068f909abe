"""How often an image's nearest text is the right one."""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import top_k, unit


def top1(features: Tensor, texts: Tensor, labels: Tensor, *, row_block: int = 8192) -> float:
    """Zero-shot top-1: the share of labelled images of which the nearest text is that of their class.

    Of equal texts the first counts as the nearest, so images of a class whose name repeats an earlier class's name are
    never right; nor are those of a class that has no text. The answer does not depend on the block. Peak memory beside
    the inputs: ``row_block`` features in float32, and what :func:`top_k` takes.

    Args:
        features: image features of any length but zero, shape ``(n, D)``.
        texts: unit vectors, one a class in the order of the classes, shape ``(C, D)``.
        labels: classes, int64, shape ``(n,)``; images with -1 do not count.
        row_block: images at once.

    Returns:
        Fraction in ``[0, 1]``.

    Raises:
        ValueError: if no image has a label, there are no texts, D differs, or a feature is zero or not finite.

    Source: CLIP, Radford et al., ICML 2021, https://arxiv.org/abs/2103.00020.

    Example:
        >>> top1(torch.eye(2)[[0, 1, 1, 0]], torch.eye(2), torch.tensor([0, 1, 0, -1]))
        0.6666666666666666
    """
    rows = (labels >= 0).nonzero()[:, 0]
    if not len(rows):
        raise ValueError(f"none of {len(labels)} images has a label, so there is no top-1")

    right = torch.zeros((), dtype=torch.long, device=labels.device)
    for block in rows.split(row_block):
        nearest = top_k(unit(features[block]), texts, 1).indices[:, 0]
        right += (nearest == labels[block]).sum()
    return int(right) / len(rows)
