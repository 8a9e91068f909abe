"""What a detector looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class LabelFeatures(NamedTuple):
    """Text features of a label set.

    Args:
        positives: unit-norm, shape (P, D).
        negatives: unit-norm, shape (N, D); N = 0 where the set has none.
        logit_scale: CLIP's multiplier, read from the encoder.
    """

    positives: Tensor
    negatives: Tensor
    logit_scale: float


class Detector(ABC):
    """Image features and labels to one score per image, higher = more in-distribution.

    Subclasses are frozen dataclasses; each names, in `labels`, which of the run's label sets it reads.

    Attributes:
        needs: supervision beyond what its label set was made from (of `id_names`, `id_images`, `id_labels`,
            `test_stream`, `llm`).
        needs_negatives: whether a label set without negatives is an error.
        labels: name of a label set of the run.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    needs_negatives: ClassVar[bool] = False
    labels: str

    @abstractmethod
    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,), float64.

        Args:
            features: unit-norm image features, shape (B, D).
            labels: of the set that `labels` names, on the same device.
        """
