"""What each text has in the score of equation 1: its share of the softmax mass, and the score without it.

    log-odds(x) = log sum_P exp(s c(x, y)) - log sum_N exp(s c(x, y))

A logit ``s c(x, y)`` is the logarithm of what a text adds to its side's mass, and its share of both masses together is
``exp(logit - total)``. The shares of the positives add up to ``sigmoid(log-odds)``, those of the negatives to the rest.

One image, two positives and two negatives, at a scale of 10:

    >>> image = torch.tensor([[0.6, 0.8]])
    >>> positives = torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    >>> negatives = torch.tensor([[1.0, 0.0], [0.8, -0.6]])
    >>> sides = text_logits(image, positives, 10.0), text_logits(image, negatives, 10.0)
    >>> of_positives, of_negatives = shares(*sides)
    >>> of_positives, of_positives.sum() + of_negatives.sum()
    (tensor([[0.1173, 0.8668]], dtype=torch.float64), tensor(1.0000, dtype=torch.float64))
    >>> mass_without_each(sides[0], torch.tensor([[1, 0]]))  # 8 is left without the second one, 10 without the first
    tensor([[ 8.0000, 10.0000]], dtype=torch.float64)

Everything is computed in float64, the products too: float32's rounding of a cosine, 1e-7, is 1e-4 nats at a scale of
1000, and a picture's score here may differ by that much from the one that was computed in float32.

Source of the score: ClusterMine, https://arxiv.org/abs/2511.07068, equation 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.log_sum_exp import check_scale
from ood_lightning.functional.products import common_dtype, product

LEAST_LEFT = 2.0**-20  # of a mass: what a difference leaves below it has fewer than 32 of float64's 53 bits


class Sides(NamedTuple):
    """Something of each text of both sides of a label set.

    Attributes:
        positives: float64, shape ``(B, P)``.
        negatives: float64, shape ``(B, N)``.
    """

    positives: Tensor
    negatives: Tensor


class Moved(NamedTuple):
    """A mass whose texts were changed.

    Attributes:
        mass: nats, float64, shape ``(B,)``.
        unsure: where so little is left that rounding may have moved it, and the logits have to be summed anew; bool.
    """

    mass: Tensor
    unsure: Tensor


def text_logits(features: Tensor, texts: Tensor, scale: float, *, block: int = 4096) -> Tensor:
    """Logarithm of what each text adds to its side's mass, ``scale * cosine``.

    Holds ``B * V * 8`` bytes: of a whole corpus, hand over some hundred images at a time.

    Args:
        features: unit image features, shape ``(B, D)``.
        texts: unit text features, shape ``(V, D)``.
        scale: multiplier of the cosines.
        block: texts that are made float64 at once.

    Returns:
        Nats, float64, shape ``(B, V)``; their logsumexp is :func:`ood_lightning.functional.similarity.log_mass`.

    Raises:
        ValueError: as ``log_mass``.

    Example:
        >>> text_logits(torch.eye(2), torch.eye(2), 3.0)
        tensor([[3., 0.],
                [0., 3.]], dtype=torch.float64)
    """
    check_scale(scale)
    common_dtype(features, texts, block)
    images = features.double()
    return torch.cat([product(images, part.double()) for part in texts.split(block)], dim=1).mul_(scale)


def shares(positives: Tensor, negatives: Tensor) -> Sides:
    """Share that each text has of both masses together, in [0, 1]; those of an image add up to 1.

    Args:
        positives: logits, shape ``(B, P)``.
        negatives: logits, shape ``(B, N)``.
    """
    total = torch.logaddexp(positives.logsumexp(dim=1), negatives.logsumexp(dim=1))[:, None]
    return Sides((positives - total).exp(), (negatives - total).exp())


def mass_without_each(of_side: Tensor, texts: Tensor) -> Tensor:
    """Log-mass of a side without one of its texts, for several texts one after another.

    Each is a sum of the logits that stay, never a difference: where a text has all but 1e-20 of a mass, subtracting it
    would leave nothing.

    Args:
        of_side: logits, shape ``(B, V)``.
        texts: the ones to leave out, int64, shape ``(B, k)``, different ones in each row.

    Returns:
        Nats, float64, shape ``(B, k)``; -inf where nothing is left.
    """
    chosen = of_side.gather(1, texts)
    others = of_side.scatter(1, texts, -torch.inf).logsumexp(dim=1)

    k = texts.shape[1]
    itself = torch.eye(k, dtype=torch.bool, device=texts.device)
    other_chosen = chosen[:, None, :].expand(-1, k, -1).masked_fill(itself, -torch.inf)  # (B, k, k)
    return torch.logaddexp(other_chosen.logsumexp(dim=2), others[:, None])


def moved_mass(mass: Tensor, removed: Tensor, added: Tensor, least_left: float = LEAST_LEFT) -> Moved:
    """Log-mass of a side after some texts left and others came, from these alone.

    Args:
        mass: of all texts before, nats, shape ``(B,)``.
        removed: logits of those that leave, shape ``(B, r)``; r may be 0.
        added: logits of those that come, shape ``(B, a)``; a may be 0.
        least_left: share of the mass that has to stay, or the answer is unsure.

    Returns:
        See :class:`Moved`. A relative error e of the mass before, such as 1e-4 of float32 products at a scale of 1000,
        grows to e divided by the share of the mass that stays.

    Example:
        >>> before = torch.tensor([1.0, 2.0]).logsumexp(dim=0)[None]
        >>> moved_mass(before, torch.tensor([[2.0]]), torch.tensor([[0.0]])).mass  # log(exp(1) + exp(0))
        tensor([1.3133], dtype=torch.float64)
    """
    mass = mass.double()
    left = 1 - (removed.double() - mass[:, None]).exp().sum(dim=1)
    unsure = left < least_left

    stays = mass + left.clamp(min=0).log()
    return Moved(torch.logaddexp(stays, added.double().logsumexp(dim=1)), unsure)
