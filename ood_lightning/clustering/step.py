"""One step of TEMI's training: what the teacher says of a batch, and the student's loss and gradient.

Heads are independent of each other, but for the weights of the pairs. So the student goes through them in blocks, and
no more than a block's logits and gradients live at once; on a processor they stay in the cache. The teacher's log
probabilities of all heads are kept meanwhile: H x 2B x C numbers.

A batch comes in slices. What they give is added in the order of a binary tree, so that the bits of a sum do not depend
on which process holds which half.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.clustering.fused import fused
from ood_lightning.clustering.heads import TEMIHeads, codes, last_weights, last_weights_gradient
from ood_lightning.functional.temi import TreeSum
from ood_lightning.functional.temi_gradient import losses_and_gradient, teaching

# of a block of heads: 4 MB stay in a processor's cache; of an accelerator's 0.5 GB, some five live at once
MOST_LOGITS = {"cpu": 2**20, "accelerator": 2**27}


class Workspace(NamedTuple):
    """Memory that every step uses anew: fresh pages from the system would cost a tenth of a step on a processor.

    Attributes:
        log_probabilities: of the teacher, for each slice, shape (H, 2b, C).
        gradients: by weight1, bias1, weight2, bias2 and the last layer's weights, of the parameters' shapes.
    """

    log_probabilities: list[Tensor]
    gradients: list[Tensor]


def workspace(student: TEMIHeads, slices: Sequence[Tensor]) -> Workspace:
    """For these heads and slices of a batch, each (2b, D)."""
    n_heads, n_clusters = student.last_direction.shape[:2]
    log_probabilities = [part.new_empty(n_heads, len(part), n_clusters) for part in slices]
    parameters = [*student.first_layers(), student.last_direction]
    return Workspace(log_probabilities, [torch.empty_like(parameter) for parameter in parameters])


class Lesson(NamedTuple):
    """What the teacher says of the slices that this process has.

    Attributes:
        log_probabilities: of each slice, shape (H, 2b, C).
        weights: of each slice's pairs, shape (b,), shared by all heads.
        mass: cluster probabilities averaged over a slice's rows and summed over slices, shape (H, C).
    """

    log_probabilities: list[Tensor]
    weights: list[Tensor]
    mass: Tensor


@torch.no_grad()
def lesson(teacher: TEMIHeads, slices: Sequence[Tensor], space: Workspace, temperature: float) -> Lesson:
    """What the teacher says of a batch.

    Args:
        teacher: H heads.
        slices: of the batch, a power of two of them, each (2b, D): images, then their neighbours.
        space: what the lesson's log probabilities are written to.
        temperature: divides the logits.
    """
    n_heads, n_clusters = teacher.last_direction.shape[:2]
    n_rows = len(slices[0])
    agreement = [part.new_zeros(n_rows // 2) for part in slices]
    mass = teacher.last_direction.new_empty(n_heads, n_clusters)

    say = fused(teaching, mass.device.type)
    for block in _blocks(teacher, n_rows):
        first = [parameter[block] for parameter in teacher.first_layers()]
        last = last_weights(teacher.last_direction[block], teacher.last_gain[block]) / temperature
        of_slices = TreeSum()
        for features, kept, agreed in zip(slices, space.log_probabilities, agreement, strict=True):
            kept[block] = codes(features, *first) @ last.mT
            said = say(kept[block])
            agreed += said.agreement
            of_slices.add([said.mass])
        (mass[block],) = of_slices.total()

    return Lesson(space.log_probabilities, [agreed / n_heads for agreed in agreement], mass)


def losses_and_gradients(
    student: TEMIHeads,
    slices: Sequence[Tensor],
    learnt: Lesson,
    space: Workspace,
    prior: Tensor,
    *,
    beta: float,
    temperature: float,
) -> tuple[Tensor, list[Tensor]]:
    """Loss of every head, and the gradient of their sum, both summed over the slices.

    Args:
        student: H heads.
        slices: as the teacher saw them.
        learnt: what it said.
        space: what the gradients are written to.
        prior: cluster prior that this batch has already moved, shape (H, C).
        beta: exponent of the pairwise agreement.
        temperature: divides the student's logits.

    Returns:
        Losses, shape (H,), and the gradients of `space`, for :func:`by_parameters`.
    """
    losses = prior.new_empty(len(prior))
    # The prior of a cluster that gets no image underflows to 0, whose log would make every loss infinite.
    log_prior = prior.clamp_min(torch.finfo(prior.dtype).tiny).log()

    compute = fused(losses_and_gradient, prior.device.type)
    for block in _blocks(student, len(slices[0])):
        first = [parameter[block].detach().requires_grad_() for parameter in student.first_layers()]
        last = last_weights(student.last_direction[block].detach(), student.last_gain[block].detach()).requires_grad_()
        of_slices = TreeSum()
        for features, said, weights in zip(slices, learnt.log_probabilities, learnt.weights, strict=True):
            logits = codes(features, *first) / temperature @ last.mT
            # under autocast the products are bfloat16, and the loss stays in float32
            loss, downhill = compute(logits.detach().to(prior.dtype), said[block], weights, log_prior[block], beta)
            of_slices.add([loss, *torch.autograd.grad(logits, [*first, last], downhill.to(logits.dtype))])

        losses[block], *of_block = of_slices.total()
        for gradient, part in zip(space.gradients, of_block, strict=True):
            gradient[block] = part
    return losses, space.gradients


def by_parameters(student: TEMIHeads, gradients: list[Tensor]) -> list[Tensor]:
    """Gradients by all parameters in their order, made in place from those of :func:`losses_and_gradients`."""
    *first, last = gradients
    by_gain = torch.empty_like(student.last_gain)
    for block in _blocks(student, student.last_direction.shape[2]):
        direction, gain = student.last_direction[block].detach(), student.last_gain[block].detach()
        by_gain[block] = last_weights_gradient(direction, gain, last[block])
    return [*first, last, by_gain]


def _blocks(heads: TEMIHeads, n_rows: int) -> list[slice]:
    """Heads that are computed together; the same for any number of processes and threads."""
    n_heads, n_clusters = heads.last_direction.shape[:2]
    largest = MOST_LOGITS["cpu" if heads.last_direction.device.type == "cpu" else "accelerator"]
    size = max(1, largest // (n_rows * n_clusters))
    return [slice(start, start + size) for start in range(0, n_heads, size)]
