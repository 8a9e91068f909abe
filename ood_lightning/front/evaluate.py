"""How well scores tell ID from OOD images, from the scores alone."""

from collections.abc import Sequence
from typing import SupportsFloat

import torch
from torch import Tensor

from ood_lightning.metrics.standard import STANDARD


def evaluate(
    id_scores: Sequence[SupportsFloat] | Tensor, ood_scores: Sequence[SupportsFloat] | Tensor
) -> dict[str, float]:
    """The five standard metrics, as fractions; a tie counts half.

    Args:
        id_scores: of ID images, higher = more in-distribution; list, array or tensor of finite numbers, shape (n_id,).
        ood_scores: of OOD images, on the same scale, shape (n_ood,).

    Returns:
        By name: `auroc`, `fpr_ood@id_tpr95` (OOD images accepted while 95 % of the ID images are kept),
        `fpr_id@ood_tpr95`, `aupr_in`, `aupr_out`.

    Raises:
        EmptySideError: one side holds no scores.
        NotFiniteScoresError: a score is NaN or infinite.

    Example:
        >>> round(evaluate([3.0, 2.0], [1.0, 2.0])["auroc"], 3)
        0.875
    """
    sides = [torch.as_tensor(scores, dtype=torch.float64, device="cpu") for scores in (id_scores, ood_scores)]
    return {name: float(metric(*sides)) for name, metric in STANDARD.items()}
