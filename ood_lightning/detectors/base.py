"""What a detector looks like from outside, and how the streams are put together that some detectors learn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from ood_lightning.errors import DetectorError
from ood_lightning.ranges import Count, Positive, Range, Ranged, Seed, check_ranges

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.detectors.evidence import Evidence, Input, LabelFeatures

Scorer = Callable[..., "Tensor"]  # a detector's `columns`, each (B, ...), to scores (B,), float64, higher = more ID

# Unit-norm features (b, D) to scores (b,), float64, higher = more in-distribution. Each batch may change the scores of
# those that follow.
Stream = Callable[["Tensor"], "Tensor"]


class BaseDetector(Ranged):
    """What holds for both kinds of detectors. Subclasses are frozen dataclasses.

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


class Detector(BaseDetector, ABC):
    """Image features to one score per image, higher = more in-distribution.

    Attributes:
        trained: the setting that names a checked store of trained tensors, which travels in a detector folder; "" if
            it was not trained.
    """

    trained: ClassVar[str] = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the test images that its scorer takes, in this order; where one is missing it is not run.

        `image` is unit-norm (B, D); `tower` the tower's output before the projection, (B, D_pre), not normalised;
        `patches` (B, P, D), of length one up to float16; `length` (B, 1) of the image feature as the projection leaves
        it.
        """
        return ("image",)

    @abstractmethod
    def bind(self, evidence: Evidence) -> Scorer:
        """The score as a function of an image's columns alone, on the evidence's device; called once a run."""

    def traceable(self, evidence: Evidence) -> Scorer:
        """The same score in plain torch operations, which trace for batches of any size; of the column `image` alone.

        Only what is exported needs it: where there is none, the detector works everywhere else.

        Raises:
            DetectorError: the detector cannot be exported; says why.
        """
        further = [name for name in self.columns if name != "image"]
        why = f"it reads {' and '.join(further)} beside image features" if further else "it has no `traceable` form"
        raise DetectorError(f"{type(self).__name__} cannot be exported: {why}")


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


class StreamDetector(BaseDetector, ABC):
    """A detector that learns from the unlabelled test stream while it scores; `supervision` names `test_stream`."""

    supervision: ClassVar[frozenset[str]] = frozenset({"test_stream"})

    @abstractmethod
    def open(self, evidence: Evidence) -> Stream:
        """A fresh stream that has seen nothing, on the evidence's device.

        It is called with one batch of unit-norm features (b, D) at a time, in stream order, and returns their scores
        (b,), float64, higher = more in-distribution. Two streams share nothing of what they have seen.
        """


@dataclass(frozen=True)
class StreamProtocol:
    """How a test stream is put together: ID and OOD images of one pair of sets, mixed at random.

    Every pair of an ID and an OOD set, and every order, begins with a fresh stream: nothing learned from one OOD set
    is carried to the next, as in the official code of AdaNeg.

    Args:
        orders: random orders that each pair is streamed in; results are means over them.
        seed: of the orders; the run's own seed does not count.
        batch_size: images that a detector sees at once. Some scores depend on it.
        id_per_ood: ID images per OOD image, random ones of the larger side left out; None: all images of both sets.
    """

    orders: Annotated[int, Range(1, 10_000)] = 3
    seed: Seed = 0
    batch_size: Count = 64
    id_per_ood: Positive | None = None

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))  # with a base class the parser would offer no key for each setting

    def rows(self, n_id: int, n_ood: int, order: int) -> Tensor:
        """Rows in stream order, int64; below n_id an ID image, from there on an OOD image."""
        from ood_lightning.functional.interleave import interleave

        return interleave(n_id, n_ood, seed=self.seed, order=order, id_per_ood=self.id_per_ood)
