"""The TEMI objective: pair weights, running cluster prior, loss per head; the two schedules; a sum in a fixed order.

Source: Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896.
Shapes: H heads, B pairs of like images (members a and b), C clusters.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def pair_weights(teacher_a: Tensor, teacher_b: Tensor) -> Tensor:
    """``w_i = mean_h sum_c q_t(c|a_i) q_t(c|b_i)``: how surely the teacher puts both members into one cluster.

    Args:
        teacher_a: cluster probabilities of the first members, shape ``(H, B, C)``.
        teacher_b: of the second members, same shape.

    Returns:
        Weights in ``(0, 1]``, shape ``(B,)``, shared by all heads, without gradient; ``1 / C`` for a uniform teacher.

    Raises:
        ValueError: if the shapes differ or are not three-dimensional.

    Example:
        >>> pair_weights(torch.full((2, 1, 4), 0.25), torch.full((2, 1, 4), 0.25))
        tensor([0.2500])
    """
    _check_logits(teacher_a, teacher_b)
    return (teacher_a * teacher_b).sum(dim=-1).mean(dim=0).detach()


def updated_prior(prior: Tensor, batch_mean: Tensor, momentum: float = 0.9) -> Tensor:
    """``m * prior + (1 - m) * batch_mean``: each head's running cluster prior, moved before the loss is taken.

    Args:
        prior: probabilities, shape ``(H, C)``; starts at ``1 / C``.
        batch_mean: teacher probabilities averaged over both members of all pairs (of all ranks), shape ``(H, C)``.
        momentum: share of the old prior that stays, in [0, 1].

    Returns:
        A new tensor without gradient, shape ``(H, C)``; sums to 1 per head if both arguments do.

    Raises:
        ValueError: if the shapes differ or momentum lies outside [0, 1].

    Example:
        >>> updated_prior(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
        tensor([[0.5500, 0.4500]])
    """
    if prior.shape != batch_mean.shape:
        raise ValueError(f"prior {tuple(prior.shape)} and batch_mean {tuple(batch_mean.shape)} must both be (H, C)")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum}, expected 0 to 1 (0.9 keeps nine tenths of the old prior)")

    return (momentum * prior + (1 - momentum) * batch_mean).detach()


def head_losses(
    student_a: Tensor,
    student_b: Tensor,
    teacher_a: Tensor,
    teacher_b: Tensor,
    prior: Tensor,
    *,
    beta: float = 0.6,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.1,
) -> Tensor:
    """Weighted pointwise mutual information of the pairs, negated; one loss per head.

    ``- mean_i w_i log sum_c (q_s(c|a_i) q_t(c|b_i))^beta / prior(c)``, averaged with the same formula where a and b
    change places. ``q_s`` and ``q_t`` are the softmax of the student's and the teacher's logits, each divided by its
    temperature, and ``w_i`` is :func:`pair_weights`. Computed in log space. Only the students have a gradient. Under
    one prior, the mean of the losses of equal slices of a batch is the loss of the batch.

    Args:
        student_a: logits of the student's heads for the first members, shape ``(H, B, C)``.
        student_b: for the second members.
        teacher_a: logits of the teacher's heads for the first members.
        teacher_b: for the second members.
        prior: cluster prior that this batch has already moved (:func:`updated_prior`), shape ``(H, C)``.
        beta: how strongly both members must agree; 1 is plain mutual information and tends to empty clusters.
        student_temperature: divides the student's logits.
        teacher_temperature: divides the teacher's logits.

    Returns:
        Nats, shape ``(H,)``; at least ``-log C`` under a uniform prior, unbounded above.

    Raises:
        ValueError: if shapes do not fit, the batch is empty, or a temperature is not positive.

    Example:
        >>> uniform = torch.zeros(1, 4, 10)  # -(2 - 2 beta) log C, times the weight 1 / C
        >>> head_losses(uniform, uniform, uniform, uniform, torch.full((1, 10), 0.1))
        tensor([-0.1842])
    """
    _check_logits(student_a, student_b, teacher_a, teacher_b)
    if prior.shape != (student_a.shape[0], student_a.shape[2]):
        raise ValueError(f"prior has shape {tuple(prior.shape)}, the logits {tuple(student_a.shape)} ask for (H, C)")
    if not student_a.shape[1]:
        raise ValueError("the batch holds no pairs: its mean loss is undefined")
    if student_temperature <= 0 or teacher_temperature <= 0:
        raise ValueError(f"temperatures are {student_temperature} and {teacher_temperature}, expected above 0")

    # All (H, B, C).
    log_student_a, log_student_b = (
        (logits / student_temperature).log_softmax(dim=-1) for logits in (student_a, student_b)
    )
    log_teacher_a, log_teacher_b = (
        (logits.detach() / teacher_temperature).log_softmax(dim=-1) for logits in (teacher_a, teacher_b)
    )

    weights = pair_weights(log_teacher_a.exp(), log_teacher_b.exp())  # (B,)
    # The prior of a cluster that gets no image underflows to 0, whose log would make every loss infinite.
    log_prior = prior.detach().clamp_min(torch.finfo(prior.dtype).tiny).log()[:, None]  # (H, 1, C)

    forth = (beta * (log_student_a + log_teacher_b) - log_prior).logsumexp(dim=-1)  # (H, B)
    back = (beta * (log_student_b + log_teacher_a) - log_prior).logsumexp(dim=-1)
    return -(weights * (forth + back) / 2).mean(dim=-1)


def warmup_cosine(step: int, *, total: int, warmup: int, peak: float, final: float = 0.0) -> float:
    """Learning rate of one optimiser step: a line from 0 to the peak, then half a cosine to the final value.

    Step 0 has rate 0. Step ``warmup - 1``, the last of the warm-up, has the peak (step 1, if the warm-up has one step).
    Step ``total - 1`` and any later step have ``final``.

    Args:
        step: steps taken before this one.
        total: steps of the whole run.
        warmup: steps of the line; with 0 the run begins at the peak. If it exceeds ``total``, the run ends on the line.
        peak: highest rate.
        final: last rate.

    Returns:
        The rate, in the unit of ``peak``.

    Raises:
        ValueError: if a count of steps is negative, or total is 0.

    Differs: the published code holds the peak for a second step and ends one step short of ``final``.

    Example:
        >>> [round(warmup_cosine(step, total=5, warmup=3, peak=1.0), 3) for step in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < 0 or total < 1 or warmup < 0:
        raise ValueError(f"step {step} of {total}, {warmup} of them warm-up: expected counts, and a total of 1 or more")

    top = max(warmup - 1, min(warmup, 1))  # the step that has the peak
    if step < top:
        return peak * step / top
    return cosine(step - top, total=max(total - top, 1), start=peak, end=final)


def cosine(step: int, *, total: int, start: float, end: float) -> float:
    """Half a cosine from one value to another, such as the teacher's momentum from 0.996 to 1.

    ``end + (start - end) (1 + cos(pi step / (total - 1))) / 2``.

    Args:
        step: steps taken before this one; past the last step the value stays at ``end``.
        total: steps of the whole run.
        start: value at step 0.
        end: value at step ``total - 1``; a run of one step has ``start``.

    Returns:
        The value.

    Raises:
        ValueError: if step is negative or total is less than 1.

    Differs: the published code ends one step short of ``end``.

    Example:
        >>> [cosine(step, total=3, start=0.0, end=1.0) for step in range(3)]
        [0.0, 0.5, 1.0]
    """
    if step < 0 or total < 1:
        raise ValueError(f"step {step} of {total}: expected a step of at least 0 and a total of at least 1")

    done = min(step / max(total - 1, 1), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


class TreeSum:
    """Sum of 1, 2, 4, 8, ... parts as a binary tree: the sum of the left half plus the sum of the right half.

    Each half is summed in the same way. So a process that holds one half (or a quarter that starts at a quarter) can
    add it up alone, and the bits of the total do not depend on how many processes share the work. Parts are added as
    they come and in place: of n parts, log2(n) + 1 sums are alive.

    Example:
        >>> of_all = TreeSum()
        >>> for part in [1e8, 1.0, 1.0, -1e8]:  # (1e8 + 1) + (1 - 1e8) in float32
        ...     of_all.add([torch.tensor(part)])
        >>> of_all.total()
        [tensor(0.)]
    """

    def __init__(self) -> None:
        self._sums: list[tuple[int, list[Tensor]]] = []  # parts in each sum, ever smaller powers of two; the sum

    def add(self, part: Sequence[Tensor]) -> None:
        """Add the next part, some tensors of any shapes, the same in each; they may be overwritten."""
        n, right = 1, list(part)
        while self._sums and self._sums[-1][0] == n:
            _, left = self._sums.pop()
            right = [a.add_(b) for a, b in zip(left, right, strict=True)]
            n *= 2
        self._sums.append((n, right))

    def total(self) -> list[Tensor]:
        """Sum of all parts.

        Raises:
            ValueError: their number is no power of two.
        """
        if len(self._sums) != 1:
            raise ValueError(
                f"{sum(n for n, _ in self._sums)} parts; expected a power of two, so that halves stay aligned"
            )
        return self._sums[0][1]


def tree_sum(parts: Tensor) -> Tensor:
    """:class:`TreeSum` over the first dimension, whose length is a power of two."""
    of_all = TreeSum()
    for part in parts.unbind():
        of_all.add([part])
    return of_all.total()[0]


def _check_logits(first: Tensor, *others: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in (first, *others)]
    if first.ndim != 3 or len(set(shapes)) > 1:
        raise ValueError(f"shapes {shapes} must all be the same (heads, pairs, clusters)")
