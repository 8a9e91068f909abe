"""CLIPN's two scores: each ID name has a 'yes' text and a 'no' text, and the picture chooses between them.

Both are the log-odds of the paper's probability, in float64: they rank alike, and do not tie where it rounds to 1.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid


def competing_to_win(yes: Tensor, no: Tensor) -> Tensor:
    """Log-odds of 'yes' for the most likely name, in nats, shape (B,); higher = more in-distribution.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Raises:
        ValueError: if the shapes differ.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, CTW.

    Example:
        >>> import torch
        >>> competing_to_win(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, -9.0]]))
        tensor([1.], dtype=torch.float64)
    """
    yes, no = _checked(yes, no)
    return (yes - no).gather(1, yes.argmax(dim=1, keepdim=True))[:, 0]


def agreeing_to_differ(yes: Tensor, no: Tensor) -> Tensor:
    """Log-odds of the mean 'yes' probability under the softmax over names, in nats, shape (B,).

    The mean is 1 - the probability of 'none of them'; both sides are summed as they are, so neither rounds away.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Raises:
        ValueError: if the shapes differ.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, ATD.

    Example:
        >>> import torch
        >>> agreeing_to_differ(torch.zeros(1, 4), torch.full((1, 4), -50.0))  # the mean itself would round to 1
        tensor([50.], dtype=torch.float64)
    """
    yes, no = _checked(yes, no)
    log_p, odds = yes.log_softmax(dim=1), yes - no
    return (log_p + logsigmoid(odds)).logsumexp(dim=1) - (log_p + logsigmoid(-odds)).logsumexp(dim=1)


def _checked(yes: Tensor, no: Tensor) -> tuple[Tensor, Tensor]:
    if yes.shape != no.shape or yes.ndim != 2 or not yes.shape[1]:
        raise ValueError(f"yes {tuple(yes.shape)} and no {tuple(no.shape)} must both be (B, K) with K of at least 1")
    return yes.double(), no.double()
