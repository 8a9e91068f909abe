"""Scores of equation 1 after words moved between the sides of a label set, from the scores before.

    S = m_P - m_N,   m = log sum exp(s c(x, y)) over one side

The positives are few: their mass is summed anew, before and after, in float64. The negatives may be a whole corpus:
their mass before is ``m_P - S``, and the words that moved are taken out of it and put into it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.shares import Moved, moved_mass, text_logits

# Scores were made of float32 products, whose rounding is an error of 1e-6 to 1e-5 nats at CLIP's scale. Taking words
# out of a mass divides it by the share that stays: so at least so much has to.
LEAST_LEFT = 1 / 8


class Texts(NamedTuple):
    """Texts of which each counts some number of times.

    Attributes:
        features: unit-norm, shape (n, D).
        counts: how often each is listed, shape (n,).
    """

    features: Tensor
    counts: Tensor

    def logits(self, images: Tensor, scale: float) -> Tensor:
        """Logarithm of what each adds to a mass, shape (B, n).

        Args:
            images: unit-norm, shape (B, D).
            scale: multiplier of the cosines.
        """
        if not len(self.features):
            return images.new_empty(len(images), 0, dtype=torch.float64)
        return text_logits(images, self.features, scale) + self.counts.double().log()


class MovedWords(NamedTuple):
    """What changed of a label set.

    Attributes:
        positives: of both sets, unit-norm, shape (U, D).
        before: rows of `positives` that the first set has, int64, (P,); a row may come more than once.
        after: those of the second one, (P',).
        left: negatives of the first set that the second has not, or not as often.
        came: the other way round.
    """

    positives: Tensor
    before: Tensor
    after: Tensor
    left: Texts
    came: Texts


class MovedScores(NamedTuple):
    """Scores under the second set.

    Attributes:
        positives: log-mass of its positives, nats, float64, shape (B,).
        negatives: of its negatives, and where too little was left of it for its rounding.
        nearest: position of the nearest positive in `after`, int64, shape (B,); of equally near ones the first.
    """

    positives: Tensor
    negatives: Moved
    nearest: Tensor


def moved_scores(images: Tensor, scores: Tensor, words: MovedWords, scale: float) -> MovedScores:
    """Both masses under the second set, from the scores under the first.

    Holds ``B * (2 U + moved) * 8`` bytes.

    Args:
        images: unit-norm, shape (B, D).
        scores: under the first set, nats, shape (B,).
        words: that moved.
        scale: multiplier of the cosines.

    Example:
        >>> axes = torch.eye(3)
        >>> none = Texts(axes[:0], torch.ones(0))
        >>> words = MovedWords(axes[:2], torch.tensor([0, 1]), torch.tensor([0]), none, Texts(axes[1:2], torch.ones(1)))
        >>> image = torch.tensor([[0.6, 0.0, 0.8]])
        >>> before = torch.tensor([0.6, 0.0]).logsumexp(0) - 0.8  # axes 0 and 1 against axis 2
        >>> masses = moved_scores(image, before[None], words, 1.0)
        >>> masses.positives - masses.negatives.mass, torch.tensor(0.6) - torch.tensor([0.0, 0.8]).logsumexp(0)
        (tensor([-0.5711], dtype=torch.float64), tensor(-0.5711))
    """
    logits = text_logits(images, words.positives, scale)  # (B, U)
    mass_before = logits[:, words.before].logsumexp(dim=1)
    after = logits[:, words.after]

    negatives = moved_mass(
        mass_before - scores.double(), words.left.logits(images, scale), words.came.logits(images, scale), LEAST_LEFT
    )
    return MovedScores(after.logsumexp(dim=1), negatives, after.argmax(dim=1))
