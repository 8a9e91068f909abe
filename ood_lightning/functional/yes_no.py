"""CLIPN's two scores: each ID name has a 'yes' text and a 'no' text, and the image chooses between them.

    q_k = exp(yes_k) / (exp(yes_k) + exp(no_k)) = sigmoid(yes_k - no_k),    p = softmax(yes)
    competing to win:    q_k of the most likely name k
    agreeing to differ:  sum_k p_k q_k

Differs: both functions return the log-odds of the paper's probability, in float64: they rank like it, and do not tie
where it rounds to 1.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid


def competing_to_win(yes: Tensor, no: Tensor) -> Tensor:
    """Log-odds of 'yes' for the most likely name: ``yes_k - no_k`` with ``k = argmax yes``.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Returns:
        Nats, float64, shape (B,); higher = more in-distribution.

    Raises:
        ValueError: if the shapes differ.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, CTW.

    Example:
        >>> import torch
        >>> competing_to_win(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, -9.0]]))
        tensor([1.], dtype=torch.float64)
    """
    yes, no = _as_float64_logits(yes, no)
    return (yes - no).gather(1, yes.argmax(dim=1, keepdim=True))[:, 0]


def agreeing_to_differ(yes: Tensor, no: Tensor) -> Tensor:
    """Log-odds of ``sum_k p_k q_k``, the mean 'yes' probability under the softmax over names.

    ``sum_k p_k q_k`` and its complement ``sum_k p_k (1 - q_k)`` ('none of them') are summed separately, in log space:
    1 minus the former would lose a complement below 1e-16.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Returns:
        Nats, float64, shape (B,); higher = more in-distribution.

    Raises:
        ValueError: if the shapes differ.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, ATD.

    Example:
        >>> import torch
        >>> agreeing_to_differ(torch.zeros(1, 4), torch.full((1, 4), -50.0))  # the mean itself would round to 1
        tensor([50.], dtype=torch.float64)
    """
    yes, no = _as_float64_logits(yes, no)
    log_p = yes.log_softmax(dim=1)  # (B, K)
    odds = yes - no
    return (log_p + logsigmoid(odds)).logsumexp(dim=1) - (log_p + logsigmoid(-odds)).logsumexp(dim=1)


def _as_float64_logits(yes: Tensor, no: Tensor) -> tuple[Tensor, Tensor]:
    if yes.shape != no.shape or yes.ndim != 2 or not yes.shape[1]:
        raise ValueError(f"yes {tuple(yes.shape)} and no {tuple(no.shape)} must both be (B, K) with K of at least 1")
    return yes.double(), no.double()
