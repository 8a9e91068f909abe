"""NegLabel's grouped share: positives against random groups of negatives, averaged."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ood_lightning.errors import SettingsError
from ood_lightning.functional.selection import contiguous_groups
from ood_lightning.functional.similarity import log_mass, log_masses


def grouped_log_odds(
    features: Tensor, positives: Tensor, negatives: Tensor, scale: float, groups: int, permutation_seed: int | None
) -> Tensor:
    """Log-odds of the mean, over groups of negatives, of the positives' share of the softmax mass.

    Strictly monotone in that mean, and never rounded to it being 1.

    Args:
        features: unit image features, shape (B, D).
        positives: unit text features, shape (P, D).
        negatives: unit text features, shape (N, D), the least similar to the positives first.
        scale: multiplier of the cosines.
        groups: G; the last ``N mod G`` negatives are dropped, as the official code does. 1: no grouping.
        permutation_seed: of the shuffle before grouping (0 in the official code); None keeps the order.

    Returns:
        Nats, float64, shape (B,); its sigmoid is the mean share.

    Raises:
        SettingsError: if groups is not in 1..N.

    Raises:
        SettingsError: if there are fewer negatives than groups.

    Source: Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078.
    Differs: the permutation is drawn on the CPU (the official code's on the GPU, another stream of numbers), and the
        positives' mass is computed once, not once per group.
    """
    n = len(negatives)
    if not 1 <= groups <= n:
        raise SettingsError(
            f"{n} negatives do not fill {groups} groups: mine more negatives, or lower groups (1: no grouping)"
        )
    if not 1 <= groups <= n:
        told = f"groups is {groups}" if groups < 1 else f"{n} negatives do not fill {groups} groups"
        raise SettingsError(f"{told}: give more negatives, or lower groups (1 or more)")
    kept = n - n % groups
    shuffle = None
    if permutation_seed is not None:
        shuffle = torch.randperm(kept, generator=torch.Generator().manual_seed(permutation_seed))
    members = contiguous_groups(n, groups, permutation=shuffle).to(features.device)
    odds = log_mass(features, positives, scale)[:, None] - log_masses(features, negatives, scale, groups=members)
    # the mean over groups is the same factor in both terms
    return logsigmoid(odds).logsumexp(dim=1) - logsigmoid(-odds).logsumexp(dim=1)
