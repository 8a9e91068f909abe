"""Softmax statistics of an image's logits over the ID names: MCM, entropy, variance. All float64."""

from torch import Tensor


def log_max_softmax(logits: Tensor) -> Tensor:
    """``log max_k p_k`` with ``p = softmax(logits)``, at most 0; does not tie where the probability rounds to 1.

    With the largest logit subtracted this is ``-log(1 + sum of the others' exponentials)``. Once that sum falls below
    1e-16, adding it to 1 would lose it, so ``log1p`` takes the sum alone.

    Args:
        logits: cosines divided by the temperature, shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.

    Source: MCM, Ming et al., NeurIPS 2022, https://arxiv.org/abs/2211.13445.
    Differs: the logarithm is returned, which ranks alike.

    Example:
        >>> import torch
        >>> log_max_softmax(torch.tensor([[0.0, 0.0], [99.0, 0.0]])).exp()
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    ranked = _as_float64_logits(logits).sort(dim=1, descending=True).values
    others = (ranked[:, 1:] - ranked[:, :1]).exp().sum(dim=1)
    return -others.log1p()


def negative_entropy(logits: Tensor) -> Tensor:
    """``sum_k p_k log p_k`` with ``p = softmax(logits)``, between -log K and 0.

    Args:
        logits: cosines divided by the temperature, shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.

    Example:
        >>> import torch
        >>> negative_entropy(torch.zeros(1, 4))  # -log 4
        tensor([-1.3863], dtype=torch.float64)
    """
    log_p = _as_float64_logits(logits).log_softmax(dim=1)
    return (log_p.exp() * log_p).sum(dim=1)


def softmax_variance(logits: Tensor) -> Tensor:
    """Population variance of ``softmax(logits)`` over the K names.

    Args:
        logits: cosines divided by the temperature, shape (B, K).

    Returns:
        Shape (B,); 0 where all names are alike, at most ``(K - 1) / K^2``; higher = more in-distribution.

    Example:
        >>> import torch
        >>> softmax_variance(torch.tensor([[999.0, 0.0]]))
        tensor([0.2500], dtype=torch.float64)
    """
    return _as_float64_logits(logits).softmax(dim=1).var(dim=1, correction=0)


def _as_float64_logits(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, expected (B, K) with K of at least 1")

    return logits.double()
