"""What a detector looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ood_lightning.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.encoders.base import Encoder
    from ood_lightning.encoders.soft_tokens import SoftTokenTemplates
    from ood_lightning.functional.intermodal import ClassBounds

PROVENANCE_KEY = (
    "made"  # key of a trained file's metadata; one only, since safetensors writes several in no fixed order
)


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


class ImageTower(NamedTuple):
    """A way to features of pictures that no set holds.

    Attributes:
        shape: of a picture, (3, H, W).
        encode: unit-norm features (n, D) of pictures (n, 3, H, W), taken as they are.
    """

    shape: tuple[int, ...]
    encode: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Evidence:
    """What a run has to offer to its detectors.

    Args:
        labels: text features of every label set, by name.
        id_features: unit-norm features of ID training images, shape (n, D); None where the run has none.
        id_labels: their classes, int64, shape (n,), -1 where unknown; None where nothing is labelled.
        texts: words of every label set, positives and negatives, in the order of their features.
        encode: unit-norm features (n, D) of further texts, as functions by label set: under the run's encoder and the
            set's prompts, all texts taken for nouns.
        positives_under: unit-norm features (P, D) of a label set's positives under another text tower, which its first
            argument makes of the run's encoder; kept on disk.
        image_tower: the run's.
        soft_tokens: OpenAI's 80 templates with a vector in place of the word; None where the text tower cannot take
            one.
        class_bounds: how like their images the names are, by label set, where its source draws one; None where none
            does.
        encoder: fingerprint of the run's encoder.
        prompts: fingerprint of the prompts of every label set, by name.
        id_tower: outputs of the vision tower before the projection for the same ID training images, float32, shape
            (n, D_pre), not normalised; None where no detector that can run reads the column `tower`.
    """

    labels: Mapping[str, LabelFeatures]
    id_features: Tensor | None = None
    id_labels: Tensor | None = None
    texts: Mapping[str, tuple[Sequence[str], Sequence[str]]] | None = None
    encode: Mapping[str, Callable[[Sequence[str]], Tensor]] | None = None
    positives_under: Callable[[Callable[[Encoder], Encoder], str], Tensor] | None = None
    image_tower: ImageTower | None = None
    soft_tokens: SoftTokenTemplates | None = None
    class_bounds: Mapping[str, ClassBounds] | None = None
    encoder: str | None = None
    prompts: Mapping[str, str] | None = None
    id_tower: Tensor | None = None

    def lacks(self, required_inputs: frozenset[str]) -> list[str]:
        """Those of a detector's inputs that this run does not have."""
        return sorted(name for name in required_inputs if getattr(self, name) is None)


Scorer = Callable[..., "Tensor"]  # a detector's `columns`, each (B, ...), to scores (B,), float64, higher = more ID


class Detector(ABC):
    """Image features to one score per image, higher = more in-distribution. Subclasses are frozen dataclasses.

    What holds for every instance is a class variable in a subclass; what an option decides, a property.

    Attributes:
        labels: name of a label set of the run; empty if it reads none.
    """

    needs_negatives: ClassVar[bool] = False
    labels: str = ""

    def missing(self) -> str:
        """What its own settings leave open that it cannot run without, "" if nothing; it is then listed as not run.

        Completes the words 'needs ...'; `<name>` in it becomes the detector's name in the run.
        """
        return ""

    @property
    def supervision(self) -> frozenset[str]:
        """Supervision beyond what its label set was made from.

        Of `id_names`, `id_images`, `id_labels`, `synthetic_ood`, `test_stream`, `llm`.
        """
        return frozenset()

    @property
    def required_inputs(self) -> frozenset[str]:
        """Fields of :class:`Evidence` that it cannot do without; where one is missing it is listed as not run."""
        return frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the test images that its scorer takes, in this order; where one is missing it is not run.

        `image` is unit-norm (B, D); `tower`, the tower's output before the projection, (B, D_pre) as it is; `patches`
        (B, P, D), of length one up to float16.
        """
        return ("image",)

    @abstractmethod
    def bind(self, evidence: Evidence) -> Scorer:
        """The score as a function of an image's columns alone, on the evidence's device; called once a run."""


Stream = Callable[["Tensor"], "Tensor"]  # as a Scorer, but each batch may change the scores of those that follow


class StreamDetector(ABC):
    """A detector that learns from the unlabelled test stream while it scores. Subclasses are frozen dataclasses.

    Attributes:
        supervision: as :class:`Detector`; `test_stream` is always among them.
        required_inputs: fields of :class:`Evidence` that it cannot do without; where one is missing it is listed as not
            run.
        needs_negatives: whether a label set without negatives is an error.
        labels: name of a label set of the run; empty if it reads none.
    """

    supervision: ClassVar[frozenset[str]] = frozenset({"test_stream"})
    required_inputs: ClassVar[frozenset[str]] = frozenset()
    needs_negatives: ClassVar[bool] = False
    labels: str = ""

    def missing(self) -> str:
        """As :meth:`Detector.missing`."""
        return ""

    @abstractmethod
    def open(self, evidence: Evidence) -> Stream:
        """A fresh stream that has seen nothing, on the evidence's device.

        It is called with one batch of unit-norm features (b, D) at a time, in stream order, and returns their scores
        (b,), float64, higher = more in-distribution. What it has seen is its own: two streams share nothing.
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
