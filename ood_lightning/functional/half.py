"""Scores as codes compute them that run in float16: each step is rounded. Only to compare with their numbers.

Above 1/2 a share moves in steps of 2^-11, and it is 1 once the log-odds pass about 8.3: many images tie, and an AUROC
of them is another number.

Source: OpenOOD-VLM, https://github.com/YBZh/OpenOOD-VLM, where NegLabel and AdaNeg run so.
Differs: each step is taken in float64 before it is rounded; a GPU sums in float32, in an order of its own, and may end
    one step of float16 away.
"""

import torch
from torch import Tensor

from ood_lightning.functional.grouping import group_members

_PIECE = 2**22  # float64 numbers held at once: 32 MiB


def half(values: Tensor) -> Tensor:
    """Rounded to float16, held in float64.

    Example:
        >>> half(torch.tensor([0.1]))
        tensor([0.1000], dtype=torch.float64)
        >>> half(torch.tensor([2049.0]))
        tensor([2048.], dtype=torch.float64)
    """
    # Torch goes by way of float32 and rounds twice. So what float32 does not hold is first made odd there, on the side
    # of the value: an odd last bit is no tie of float16.
    single = values.float()
    bits, exact = single.view(torch.int32), values.double()
    side = torch.where(exact.abs() > single.double().abs(), 1, -1).int()
    odd = torch.where((single.double() != exact) & (bits % 2 == 0), bits + side, bits)
    return odd.view(torch.float32).half().double()


def half_logits(features: Tensor, texts: Tensor, scale: float) -> Tensor:
    """``round(round(s h) . z)``: the images are multiplied by the scale, and rounded, before they meet the texts.

    Args:
        features: unit image features, shape (B, D).
        texts: unit text features, shape (V, D).
        scale: multiplier of the cosines.

    Returns:
        Each value one of float16, float64, shape (B, V).
    """
    scaled = half(half(torch.tensor(scale)) * half(features))
    return half(scaled @ half(texts).T)


def half_mean_share(positives: Tensor, negatives: Tensor, members: Tensor) -> Tensor:
    """Mean over groups of negatives of the positives' share of the softmax.

    Args:
        positives: logits, shape (B, P).
        negatives: logits, shape (B, N).
        members: rows of the negatives, shape (G, n).

    Returns:
        In [0, 1], each value one of float16, float64, shape (B,).
    """
    logits = (torch.cat([positives, negatives[:, rows]], dim=1) for rows in members)  # (B, P + n)
    shares = [half(half(group.softmax(dim=1))[:, : positives.shape[1]].sum(dim=1)) for group in logits]
    return half(torch.stack(shares).mean(dim=0))


def grouped_share_half(
    features: Tensor, positives: Tensor, negatives: Tensor, scale: float, groups: int, permutation_seed: int | None
) -> Tensor:
    """The mean share itself; see :func:`~ood_lightning.functional.grouping.grouped_log_odds` for the arguments.

    Args:
        features: shape (B, D).
        positives: shape (P, D).
        negatives: shape (N, D).
        scale: multiplier of the cosines.
        groups: G.
        permutation_seed: of the shuffle before grouping.

    Returns:
        In [0, 1], each value one of float16, float64, shape (B,).
    """
    members = group_members(len(negatives), groups, permutation_seed).to(features.device)
    to_positives, to_negatives = (half_logits(features, texts, scale) for texts in (positives, negatives))
    return half_mean_share(to_positives, to_negatives, members)


def half_proxy_logits(features: Tensor, members: Tensor, scale: float, beta: float | None = None) -> Tensor:
    """Logits of proxies that are made of the members of each label: AdaNeg's second score.

    The proxy is the unit mean of a label's members, or, with a beta, ``unit(sum_l exp(-beta (1 - h.F_l)) F_l)``, one
    for each image. Products with it are rounded one by one before they are added.

    Args:
        features: unit image features, shape (B, D).
        members: of each label a text and images, zero where a slot is empty, shape (V, S, D).
        scale: multiplier of the cosines, which here comes last.
        beta: sharpness of the weights; None: equal weights.

    Returns:
        Each value one of float16, float64, shape (B, V). Takes B * V * S * D roundings with a beta, B * V * D
        without.
    """
    images, piece = half(features), max(1, _PIECE // max(1, len(features) * members[:1].numel()))
    logits = []
    for part in half(members).split(piece):  # (v, S, D)
        if beta is None:
            proxies = half(part.mean(dim=1))[None]  # (1, v, D)
        else:
            similarity = half(torch.einsum("bd,vsd->bvs", images, part))
            weights = half(half(-beta * half(1 - similarity)).exp())
            proxies = half(_products(weights[..., None], part).sum(dim=2))  # (B, v, D)

        proxies = half(proxies / half(proxies.norm(dim=-1, keepdim=True)))
        logits.append(half(scale * half(_products(images[:, None], proxies).sum(dim=2))))
    return torch.cat(logits, dim=1)


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Products of halves, rounded: float32 holds them exactly, so that torch rounds once."""
    return (one.float() * other.float()).half().double()
