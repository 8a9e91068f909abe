"""CLIPN's two scores: each ID name has a 'yes' text and a 'no' text, and the picture chooses between them."""

from torch import Tensor


def yes_probability(yes: Tensor, no: Tensor) -> Tensor:
    """``e^yes / (e^yes + e^no)`` per name, shape (B, K), float64.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Raises:
        ValueError: if the shapes differ.
    """
    if yes.shape != no.shape or yes.ndim != 2:
        raise ValueError(f"yes {tuple(yes.shape)} and no {tuple(no.shape)} must both be (B, K)")
    return (yes.double() - no.double()).sigmoid()


def competing_to_win(yes: Tensor, no: Tensor) -> Tensor:
    """'Yes' probability of the most likely name, shape (B,); higher = more in-distribution.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, CTW.

    Example:
        >>> import torch
        >>> competing_to_win(torch.tensor([[3.0, 1.0]]), torch.tensor([[3.0, -9.0]]))
        tensor([0.5000], dtype=torch.float64)
    """
    matched = yes_probability(yes, no)
    return matched.gather(1, yes.argmax(dim=1, keepdim=True))[:, 0]


def agreeing_to_differ(yes: Tensor, no: Tensor) -> Tensor:
    """Mean 'yes' probability under the softmax over names, shape (B,): 1 - the probability of 'none of them'.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, ATD.

    Example:
        >>> import torch
        >>> agreeing_to_differ(torch.zeros(1, 4), torch.zeros(1, 4))
        tensor([0.5000], dtype=torch.float64)
    """
    return (yes.double().softmax(dim=1) * yes_probability(yes, no)).sum(dim=1)
