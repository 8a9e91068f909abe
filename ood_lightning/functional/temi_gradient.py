"""TEMI's loss together with its gradient, in few passes over the logits.

:func:`ood_lightning.functional.temi.head_losses` is the same loss as a formula, which the tests hold this against.
Written out for one row r of the student, whose partner in the pair is row r', the loss is ::

    l_r = - w (logsumexp_c u_rc - beta logsumexp_c s_rc),   u_rc = s_rc + log q_r'c under beta, minus log prior_c

and its gradient by the student's logits is the difference of two softmaxes::

    dl_r / ds_rc = - w beta (softmax(u_r)_c - softmax(s_r)_c)

Shapes: h heads, 2b rows (the images of b pairs, then their neighbours), C clusters. Logits are divided by their
temperature already.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Teaching(NamedTuple):
    """What the teacher says of some pairs.

    Attributes:
        log_probabilities: ``log q_t``, shape ``(h, 2b, C)``.
        mass: probabilities averaged over the rows, shape ``(h, C)``.
        agreement: ``sum_h sum_c q_t(c|a_i) q_t(c|b_i)``, shape ``(b,)``; divided by H, the weights of the pairs.
    """

    log_probabilities: Tensor
    mass: Tensor
    agreement: Tensor


def teaching(logits: Tensor) -> Teaching:
    """Probabilities of the teacher's logits, shape ``(h, 2b, C)``, which are overwritten."""
    log_probabilities = torch.log_softmax(logits, dim=-1, out=logits)
    probabilities = log_probabilities.exp()
    mass = probabilities.mean(dim=1)
    images, neighbours = probabilities.chunk(2, dim=1)
    return Teaching(log_probabilities, mass, images.mul_(neighbours).sum(dim=(0, 2)))


def losses_and_gradient(
    logits: Tensor, log_teacher: Tensor, weights: Tensor, log_prior: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """Loss of each head, and the gradient of each head's loss by its own logits.

    Args:
        logits: of the student, shape ``(h, 2b, C)``.
        log_teacher: log probabilities of the teacher for the same rows, same shape.
        weights: of the pairs, shape ``(b,)``.
        log_prior: logarithm of the cluster prior that this batch has already moved, shape ``(h, C)``.
        beta: exponent of the pairwise agreement.

    Returns:
        Losses, shape ``(h,)``, nats, and the gradient, shape ``(h, 2b, C)``.
    """
    n_pairs = len(weights)
    row_weights = torch.cat([weights, weights])[:, None] / (2 * n_pairs)  # (2b, 1); both directions are averaged

    agreeing = torch.empty_like(logits)  # u
    torch.add(logits[:, :n_pairs], log_teacher[:, n_pairs:], out=agreeing[:, :n_pairs])
    torch.add(logits[:, n_pairs:], log_teacher[:, :n_pairs], out=agreeing[:, n_pairs:])
    torch.add(-log_prior[:, None], agreeing, alpha=beta, out=agreeing)

    target, log_target = _softmax_and_its_log_sum(agreeing)
    student, log_student = _softmax_and_its_log_sum(logits)
    losses = ((beta * log_student - log_target) * row_weights).sum(dim=(1, 2))
    return losses, student.sub_(target).mul_(beta * row_weights)


def _softmax_and_its_log_sum(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the last dimension, and its logsumexp, shape ``(..., 1)``, without a second pass of exponentials.

    The largest entry's probability is 1 / sum exp(logits - largest).
    """
    probabilities = logits.softmax(dim=-1)
    largest = logits.amax(dim=-1, keepdim=True)
    return probabilities, largest - probabilities.amax(dim=-1, keepdim=True).log()
