"""Scores of one picture's logits over the ID names: softmax statistics. All float64."""

from torch import Tensor


def log_max_softmax(logits: Tensor) -> Tensor:
    """Logarithm of the largest softmax probability, at most 0; does not tie where the probability rounds to 1.

    ``-log sum_k exp(logit_k - largest)`` would give 0 once the others fall below 1e-16, so their sum is taken alone.

    Args:
        logits: shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.
    """
    ranked = _checked(logits).sort(dim=1, descending=True).values
    others = (ranked[:, 1:] - ranked[:, :1]).exp().sum(dim=1)
    return -others.log1p()


def negative_entropy(logits: Tensor) -> Tensor:
    """``sum_k p_k log p_k`` of the softmax, between -log K and 0.

    Args:
        logits: shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.
    """
    log_p = _checked(logits).log_softmax(dim=1)
    return (log_p.exp() * log_p).sum(dim=1)


def softmax_variance(logits: Tensor) -> Tensor:
    """Population variance of the softmax probabilities, shape (B,), of logits (B, K)."""
    return _checked(logits).softmax(dim=1).var(dim=1, correction=0)


def _checked(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, expected (B, K) with K of at least 1")
    return logits.double()
