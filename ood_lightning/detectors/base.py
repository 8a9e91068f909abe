"""What a detector looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.detectors.evidence import Evidence, Input, LabelFeatures

# Key of a trained file's metadata; one only, since safetensors writes several in no fixed order.
PROVENANCE_KEY = "made"

Scorer = Callable[..., "Tensor"]  # a detector's `columns`, each (B, ...), to scores (B,), float64, higher = more ID


class Detector(ABC):
    """Image features to one score per image, higher = more in-distribution. Subclasses are frozen dataclasses.

    What holds for every instance is a class variable in a subclass; what an option decides, a property.

    Attributes:
        needs_negatives: whether a label set without negatives is an error.
        labels: name of a label set of the run; empty if it reads none.
    """

    needs_negatives: ClassVar[bool] = False
    labels: str = ""

    def missing(self) -> str:
        """What its settings leave open that it cannot run without; "" if nothing.

        A detector with something missing is listed as not run. The text completes the words 'needs ...'; `<name>` in it
        becomes the detector's name in the run.
        """
        return ""

    @property
    def supervision(self) -> frozenset[str]:
        """Supervision beyond what its label set was made from.

        Of `id_names`, `id_images`, `id_labels`, `synthetic_ood`, `test_stream`, `llm`.
        """
        return frozenset()

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Kinds of input that it cannot do without; where the run lacks one, the detector is listed as not run."""
        return frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the test images that its scorer takes, in this order; where one is missing it is not run.

        `image` is unit-norm (B, D); `tower` the tower's output before the projection, (B, D_pre), not normalised;
        `patches` (B, P, D), of length one up to float16.
        """
        return ("image",)

    @abstractmethod
    def bind(self, evidence: Evidence) -> Scorer:
        """The score as a function of an image's columns alone, on the evidence's device; called once a run."""


class LabelDetector(Detector):
    """A detector that compares an image with the texts of a label set and needs nothing else."""

    def bind(self, evidence: Evidence) -> Scorer:
        """The score on the label set that `labels` names."""
        return partial(self, labels=evidence.labels(self.labels))

    @abstractmethod
    def __call__(self, features: Tensor, labels: LabelFeatures) -> Tensor:
        """Scores, shape (B,), float64.

        Args:
            features: unit-norm image features, shape (B, D).
            labels: of the set that `labels` names, on the same device.
        """
