"""Scores of an image from its logits: softmax over the ID names, patches, 'yes' against 'no' texts, pairs of labels.

All return float64, higher = more in-distribution.

CLIPN's two scores: each ID name has a 'yes' text and a 'no' text, and the image chooses between them.

    q_k = exp(yes_k) / (exp(yes_k) + exp(no_k)) = sigmoid(yes_k - no_k),    p = softmax(yes)
    competing to win:    q_k of the most likely name k
    agreeing to differ:  sum_k p_k q_k

Differs: these two return the log-odds of the paper's probability, in float64: they rank like it, and do not tie
where it rounds to 1.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ood_lightning.functional.blocks import in_cached_rows
from ood_lightning.functional.log_sum_exp import powers_below_one
from ood_lightning.functional.similarity import cosines, unit


def log_max_softmax(logits: Tensor) -> Tensor:
    """``log max_k p_k`` with ``p = softmax(logits)``, at most 0; does not tie where the probability rounds to 1.

    With the largest logit subtracted this is ``-log(1 + sum of the others' exponentials)``. Once that sum falls below
    1e-16, adding it to 1 would lose it, so the largest's own 1 is left out and ``log1p`` takes the sum alone.

    Args:
        logits: cosines divided by the temperature, shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.

    Source: MCM, Ming et al., NeurIPS 2022, https://arxiv.org/abs/2211.13445.
    Differs: the logarithm is returned, which ranks alike.

    Example:
        >>> log_max_softmax(torch.tensor([[0.0, 0.0], [99.0, 0.0]])).exp()
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    logits = _as_float64_logits(logits)
    largest, at = logits.max(dim=1, keepdim=True)  # of equal ones one alone is left out
    others = (logits - largest).exp_().scatter_(1, at, 0.0)
    return -others.sum(dim=1).log1p()


def negative_entropy(logits: Tensor) -> Tensor:
    """``sum_k p_k log p_k`` with ``p = softmax(logits)``, between -log K and 0.

    Args:
        logits: cosines divided by the temperature, shape (B, K).

    Returns:
        Nats, shape (B,); higher = more in-distribution.

    Example:
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
        >>> softmax_variance(torch.tensor([[999.0, 0.0]]))
        tensor([0.2500], dtype=torch.float64)
    """
    return _as_float64_logits(logits).softmax(dim=1).var(dim=1, correction=0)


def local_match(patches: Tensor, names: Tensor, temperature: float = 1.0, *, block: int = 4096) -> Tensor:
    """GL-MCM: ``max_p max_k softmax_k(c(patch p, name k) / T)``.

    The softmax runs over the names, separately for each patch. Peak memory beside the inputs: about ``block * K * 4``
    (on a GPU ``block * K * 20``) and ``block * D * 12`` bytes.

    Args:
        patches: local features of the L patches of each image, shape (B, L, D), any float dtype; normalised here,
            since the lengths of unit vectors in half precision are a little off 1.
        names: unit-norm text features of the ID names, shape (K, D).
        temperature: divides raw cosines.
        block: patches per product.

    Returns:
        float64, shape (B,), in (0, 1]; higher = more in-distribution. More patches never lower it.

    Raises:
        ValueError: if shapes do not fit, an image has no patches, or a patch is zero.

    Source: Miyai et al., IJCV 2025 (GL-MCM), https://arxiv.org/abs/2304.04521.

    Example:
        >>> local_match(torch.eye(2)[None], torch.eye(2), 0.01)
        tensor([1.], dtype=torch.float64)
    """
    if patches.ndim != 3 or not patches.shape[1] or patches.shape[2] != names.shape[-1]:
        raise ValueError(
            f"patches {tuple(patches.shape)} must be (B, L, D) with L of at least 1, names {tuple(names.shape)}"
        )

    flat = patches.flatten(0, 1)  # (B * L, D)
    # One result, allocated beforehand: small results between large temporary ones would keep malloc from reusing these.
    best = torch.empty(len(flat), dtype=torch.float64, device=patches.device)
    for part, result in zip(flat.split(block), best.split(block), strict=True):
        result.copy_(in_cached_rows(partial(_largest_share, scale=1 / temperature), cosines(unit(part), names)))
    return best.view(patches.shape[:2]).amax(dim=1)


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
        >>> competing_to_win(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, -9.0]]))
        tensor([1.], dtype=torch.float64)
    """
    return _odds(yes, no).gather(1, yes.argmax(dim=1, keepdim=True))[:, 0]


def agreeing_to_differ(yes: Tensor, no: Tensor) -> Tensor:
    """Log-odds of ``sum_k p_k q_k``, the mean 'yes' probability under the softmax over names.

    ``sum_k p_k q_k`` and its complement ``sum_k p_k (1 - q_k)`` ('none of them') are summed separately, in log space:
    1 minus the former would lose a complement below 1e-16. The softmax's denominator is in both and cancels, and
    ``yes_k + log(1 - q_k)`` is ``no_k + log q_k``.

    Args:
        yes: logits of the names, ``logit_scale * cosines``, shape (B, K).
        no: logits of the names' negations, shape (B, K).

    Returns:
        Nats, float64, shape (B,); higher = more in-distribution.

    Raises:
        ValueError: if the shapes differ.

    Source: Wang et al., ICCV 2023 (CLIPN), https://arxiv.org/abs/2308.12213, ATD.

    Example:
        >>> agreeing_to_differ(torch.zeros(1, 4), torch.full((1, 4), -50.0))  # the mean itself would round to 1
        tensor([50.], dtype=torch.float64)
    """
    log_q = logsigmoid(_odds(yes, no))  # (B, K)
    return (yes.double() + log_q).logsumexp(dim=1) - (no.double() + log_q).logsumexp(dim=1)


def multi_match(features: Tensor, pairs: Tensor, negatives: Tensor, scale: float) -> Tensor:
    """NegRefine: ``max_ij sigmoid(scale (h . t_ij - h . z_j))`` over an image's nearest positives i and negatives j.

    ``h`` is the image's feature, ``t_ij`` that of the text "positive i and negative j", ``z_j`` that of negative j
    alone. A positive that the image shows makes the joint text fit better than the negative alone.

    Args:
        features: unit image features, shape (B, D).
        pairs: features of the joint texts of each image, shape (B, I, J, D).
        negatives: features of each image's J nearest negatives, shape (B, J, D).
        scale: multiplier of the cosines; 100 in the paper.

    Returns:
        float64, shape (B,), in (0, 1); 1/2 where every joint text equals its negative.

    Raises:
        ValueError: if shapes do not fit or an image has no pair.

    Source: Ansari et al., ICCV 2025 (NegRefine), https://arxiv.org/abs/2507.09795.
    Differs: the sigmoid of the difference replaces the ratio of exponentials, which overflows in float32 above a cosine
        of 0.887; images are scored in batches, each with its own pairs, where the published code takes one at a time.

    Example:
        >>> h, t, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[[[0.6, 0.8]]]]), torch.tensor([[[0.6, -0.8]]])
        >>> multi_match(h, t, z, 100.0)
        tensor([0.5000], dtype=torch.float64)
    """
    if pairs.ndim != 4 or not pairs[0].numel() or negatives.shape != (len(pairs), *pairs.shape[2:]):
        raise ValueError(
            f"pairs {tuple(pairs.shape)} and negatives {tuple(negatives.shape)} must be (B, I, J, D) and (B, J, D), "
            f"with at least one pair"
        )

    h = features.double()
    joint = (pairs.double() @ h[:, None, :, None])[..., 0]  # (B, I, J, D) @ (B, 1, D, 1) -> (B, I, J)
    alone = (negatives.double() @ h[:, :, None])[..., 0]  # (B, J, D) @ (B, D, 1) -> (B, J)
    return (scale * (joint - alone[:, None])).flatten(1).amax(dim=1).sigmoid()


def _largest_share(products: Tensor, scale: float) -> Tensor:
    """``max_k softmax_k(scale * products)``, shape (n,): the largest power is 1."""
    powers, _ = powers_below_one(products, scale)
    return powers.sum(dim=1).reciprocal()


def _as_float64_logits(logits: Tensor) -> Tensor:
    if logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, expected (B, K) with K of at least 1")

    return logits.double()


def _odds(yes: Tensor, no: Tensor) -> Tensor:
    if yes.shape != no.shape or yes.ndim != 2 or not yes.shape[1]:
        raise ValueError(f"yes {tuple(yes.shape)} and no {tuple(no.shape)} must both be (B, K) with K of at least 1")
    return yes.double() - no.double()
