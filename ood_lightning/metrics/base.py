"""What a metric is: one number for how well a detector separates an ID set from an OOD set. Needs no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Metric(ABC):
    """A fraction computed from the raw scores of one ID set and one OOD set.

    A metric of your own is one class in one file, named in `model.metrics` by its class path::

        class FPR80(Metric):
            title = "OOD pictures accepted while 80 % of the ID pictures are kept"
            higher_is_better = False

            def __call__(self, id_scores, ood_scores):
                return fpr_ood_at_id_tpr(id_scores, ood_scores, 0.8)

    Attributes:
        title: what it measures, in one line that stands below the tables.
        higher_is_better: its direction.
    """

    title: str
    higher_is_better: bool

    @abstractmethod
    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """The metric of one pair of sets.

        Args:
            id_scores: raw, float64, shape ``(n_id,)``; higher = more in-distribution.
            ood_scores: same scale, shape ``(n_ood,)``.

        Returns:
            Scalar, a finite fraction; the tables show it in percent.
        """
