"""NegLabel's grouped score: the positives' share against random groups of negatives, averaged over the groups."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import log_mass, log_masses


def grouped_log_odds(
    features: Tensor, positives: Tensor, negatives: Tensor, scale: float, groups: int, permutation_seed: int | None
) -> Tensor:
    """Log-odds of the mean, over groups of negatives, of the positives' share of the softmax mass.

    ``share = mean_g  sum_P exp(s c) / (sum_P exp(s c) + sum_{N_g} exp(s c))``, and ``log share - log(1 - share)`` is
    returned: it ranks like the share, and does not tie where the share rounds to 1.

    Args:
        features: unit image features, shape (B, D).
        positives: unit text features, shape (P, D).
        negatives: unit text features, shape (N, D), those least similar to the positives first.
        scale: multiplier of the cosines.
        groups: G; the last ``N mod G`` negatives are dropped, as the official code does. 1: no grouping.
        permutation_seed: of the shuffle before grouping (0 in the official code); None keeps the order.

    Returns:
        Nats, float64, shape (B,); its sigmoid is the mean share.

    Raises:
        SettingsError: if groups is not in 1..N.

    Source: Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078.
    Differs: the permutation is drawn on the CPU, as in OpenOOD-VLM; the codes of NegLabel, CSP and NegRefine draw it on
        the GPU, another stream of numbers. The positives' mass is computed once, not once per group. One group is
        equation 1; NegLabel's own code has no softmax there.
    """
    members = group_members(len(negatives), groups, permutation_seed).to(features.device)
    odds = log_mass(features, positives, scale)[:, None] - log_masses(features, negatives, scale, groups=members)
    return mean_share_log_odds(odds)


def grouped_mean_log_odds(
    features: Tensor, positives: Tensor, negatives: Tensor, scale: float, groups: int, permutation_seed: int | None
) -> Tensor:
    """The same where means of the exponentials take the place of their sums, so that the numbers of texts cancel.

    ``share = mean_g  mean_P exp(s c) / (mean_P exp(s c) + mean_{N_g} exp(s c))``. With as many negatives in a group as
    there are positives it is :func:`grouped_log_odds`, whose arguments it has.

    Source: TINS, 2026, https://arxiv.org/abs/2605.10756.
    """
    members = group_members(len(negatives), groups, permutation_seed).to(features.device)
    odds = log_mass(features, positives, scale)[:, None] - log_masses(features, negatives, scale, groups=members)
    return mean_share_log_odds(odds + math.log(members.shape[1] / len(positives)))


def group_members(count: int, groups: int, permutation_seed: int | None) -> Tensor:
    """Rows of each group of negatives, int64, shape (G, N // G), on the CPU; see :func:`grouped_log_odds`.

    The last ``N mod G`` are dropped first (the negatives nearest to the positives come last), then the rest is permuted
    and cut into groups.

    Example:
        >>> group_members(5, 2, None)
        tensor([[0, 1],
                [2, 3]])
    """
    if not 1 <= groups <= count:
        raise SettingsError(
            f"{count} negatives do not fill {groups} groups: mine more negatives, or lower groups (1: no grouping)"
        )

    kept = count - count % groups
    if permutation_seed is None:
        return torch.arange(kept).view(groups, -1)
    return torch.randperm(kept, generator=torch.Generator().manual_seed(permutation_seed)).view(groups, -1)


def mean_share_log_odds(odds: Tensor) -> Tensor:
    """Log-odds of the mean of G shares, shape (B,), from the log-odds of each share, shape (B, G).

    ``log sum_g sigmoid(odds_g) - log sum_g sigmoid(-odds_g)``: the mean's 1/G is in both terms and cancels.

    Example:
        >>> mean_share_log_odds(torch.tensor([[2.0, 2.0]]))
        tensor([2.])
    """
    return logsigmoid(odds).logsumexp(dim=1) - logsigmoid(-odds).logsumexp(dim=1)
