"""Which texts ID images vote for: those that they show, whatever the text's name says."""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import top_k


def voted_for(images: Tensor, positives: Tensor, candidates: Tensor, nearest: int) -> Tensor:
    """Candidates that more than half of their nearest images are nearest to.

    An image votes for the text of highest cosine among positives and candidates, of equal ones the first, positives in
    front. A candidate is judged by its `nearest` nearest images.

    Args:
        images: unit features of ID images, shape ``(n, D)``.
        positives: unit text features, shape ``(P, D)``.
        candidates: unit text features, shape ``(N, D)``.
        nearest: images that decide about a candidate; all of them where there are fewer.

    Returns:
        bool, shape ``(N,)``.

    Raises:
        ValueError: if D differs, a value is not finite, or there are no images.

    Example:
        >>> axes = torch.eye(3)
        >>> voted_for(axes[[0, 1, 1]], axes[:1], axes[1:], 2)
        tensor([ True, False])
    """
    if not len(images):
        raise ValueError("there are no ID images to vote")
    votes = top_k(images, torch.cat([positives, candidates]), 1).indices[:, 0] - len(
        positives
    )  # (n,), below 0 positive

    voted = torch.zeros(len(candidates), dtype=torch.bool, device=candidates.device)
    elected = votes[votes >= 0].unique()  # nobody votes for the others
    if len(elected):
        jury = top_k(candidates[elected], images, min(nearest, len(images))).indices  # (A, k)
        voted[elected] = 2 * (votes[jury] == elected[:, None]).sum(dim=1) > jury.shape[1]
    return voted
