"""What a detector that learns from the test stream looks like from outside, and how such streams are put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ood_lightning.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.detectors.evidence import Evidence, Input

# Unit-norm features (b, D) to scores (b,), float64, higher = more in-distribution. Each batch may change the scores of
# those that follow.
Stream = Callable[["Tensor"], "Tensor"]


class StreamDetector(ABC):
    """A detector that learns from the unlabelled test stream while it scores. Subclasses are frozen dataclasses.

    Attributes:
        supervision: as :class:`ood_lightning.detectors.base.Detector`; `test_stream` is always among them.
        required_inputs: kinds of input that it cannot do without; where one is missing it is listed as not run.
        needs_negatives: whether a label set without negatives is an error.
        labels: name of a label set of the run; empty if it reads none.
    """

    supervision: ClassVar[frozenset[str]] = frozenset({"test_stream"})
    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset()
    needs_negatives: ClassVar[bool] = False
    labels: str = ""

    def missing(self) -> str:
        """As :meth:`ood_lightning.detectors.base.Detector.missing`."""
        return ""

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

    orders: int = 3
    seed: int = 0
    batch_size: int = 64
    id_per_ood: float | None = None

    def __post_init__(self) -> None:
        for name in ("orders", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingsError(f"protocol.{name} is {getattr(self, name)}, expected at least 1")

    def rows(self, n_id: int, n_ood: int, order: int) -> Tensor:
        """Rows in stream order, int64; below n_id an ID image, from there on an OOD image."""
        from ood_lightning.functional.interleave import interleave

        return interleave(n_id, n_ood, seed=self.seed, order=order, id_per_ood=self.id_per_ood)
