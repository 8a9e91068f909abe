"""What a detector looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class LabelFeatures(NamedTuple):
    """Text features of a label set.

    Attributes:
        positives: unit-norm, shape (P, D).
        negatives: unit-norm, shape (N, D); N = 0 where the set has none.
        logit_scale: CLIP's multiplier, read from the encoder.
    """

    positives: Tensor
    negatives: Tensor
    logit_scale: float


@dataclass(frozen=True)
class Evidence:
    """What a run has to offer to its detectors.

    Args:
        labels: text features of every label set, by name.
        id_features: unit-norm features of ID training images, shape (n, D); None where the run has none.
        id_labels: their classes, int64, shape (n,), -1 where unknown; None where nothing is labelled.
        texts: words of every label set, positives and negatives, in the order of their features.
        encode: unit-norm features (n, D) of further texts, under the run's encoder and prompts.
    """

    labels: Mapping[str, LabelFeatures]
    id_features: Tensor | None = None
    id_labels: Tensor | None = None
    texts: Mapping[str, tuple[Sequence[str], Sequence[str]]] | None = None
    encode: Callable[[Sequence[str]], Tensor] | None = None

    def lacks(self, inputs: frozenset[str]) -> list[str]:
        """Those of a detector's inputs that this run does not have."""
        return sorted(name for name in inputs if getattr(self, name) is None)


Scorer = Callable[["Tensor"], "Tensor"]  # unit-norm features (B, D) to scores (B,), float64, higher = more ID


class Detector(ABC):
    """Image features to one score per image, higher = more in-distribution. Subclasses are frozen dataclasses.

    Attributes:
        needs: supervision beyond what its label set was made from (of `id_names`, `id_images`, `id_labels`,
            `test_stream`, `llm`).
        inputs: fields of :class:`Evidence` that it cannot do without; where one is missing it is listed as not run.
        labels: name of a label set of the run; empty if it reads none.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    inputs: ClassVar[frozenset[str]] = frozenset()
    needs_negatives: ClassVar[bool] = False
    labels: str = ""

    @abstractmethod
    def bind(self, evidence: Evidence) -> Scorer:
        """The score as a function of image features alone, on the evidence's device; called once a run."""


class LabelDetector(Detector):
    """A detector that compares an image with the texts of a label set and needs nothing else.

    Attributes:
        needs_negatives: whether a label set without negatives is an error.
    """

    def bind(self, evidence: Evidence) -> Scorer:
        """The score on the label set that `labels` names."""
        return partial(self, labels=evidence.labels[self.labels])

    @abstractmethod
    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,), float64.

        Args:
            features: unit-norm image features, shape (B, D).
            labels: of the set that `labels` names, on the same device.
        """
