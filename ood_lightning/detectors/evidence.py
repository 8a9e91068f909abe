"""What a run offers to its detectors: label sets with their text features, and further inputs asked for by type.

Every run has label sets, an encoder and an image tower: they are plain attributes of :class:`Evidence`. What only some
runs have, such as ID training images, is an :class:`Input`, and each kind of input is a class:

    evidence[IDFeatures].image  # unit-norm features of the ID training images, (n, D)

mypy knows the type of the answer, and sees a misspelt kind. A detector names in `required_inputs` the kinds that it
cannot do without; where the run lacks one, the detector is listed as not run, with the kind's `how_to_provide`.

A new kind of input is one subclass of :class:`Input` and one line where a run offers it; of :class:`TensorInput`, if it
is made of tensors: then detectors that read it can be carried in a detector folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar, cast

from ood_lightning.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.detectors.compared_texts import ComparedTexts
    from ood_lightning.encoders.base import Encoder
    from ood_lightning.encoders.soft_tokens import SoftTokenTemplates
    from ood_lightning.functional.intermodal import ClassBounds


# How a run gets the columns that are stored beside the image features.
COLUMNS = {
    "patches": "patch features (data.encoder.extra_features: [patches])",
    "tower": "tower features (data.encoder.extra_features: [tower])",
    "length": "lengths of image features (data.encoder.extra_features: [length])",
}


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


class Texts(NamedTuple):
    """The words of a label set, in the order of their features.

    Attributes:
        positives: P words.
        negatives: N words.
    """

    positives: Sequence[str]
    negatives: Sequence[str]


@dataclass(frozen=True)
class ReadyLabelSet:
    """A label set that images can be compared with.

    Args:
        label_set: its content, with the recipe that made it.
        positives: what images can be compared with, on the device where detectors compute.
        negatives: the same of the other side; of length 0 where the set has none.
        logit_scale: CLIP's multiplier, read from the encoder.
        texts: its words.
        prompts: fingerprint of the prompts around each word.
        encode: unit-norm features (n, D) of further texts under the same encoder and prompts, all taken for nouns.
        positives_under: unit-norm features (P, D) of the positives under another text tower, which the argument makes
            of the run's encoder; kept on disk.
    """

    label_set: LabelSet
    positives: ComparedTexts
    negatives: ComparedTexts
    logit_scale: float
    texts: Texts
    prompts: str
    encode: Callable[[Sequence[str]], Tensor]
    positives_under: Callable[[Callable[[Encoder], Encoder]], Tensor]

    @cached_property
    def features(self) -> LabelFeatures:
        """Text features of both sides; of a shared corpus they are copies, made when somebody first asks for them."""
        return LabelFeatures(self.positives.features, self.negatives.features, self.logit_scale)


class ImageTower(NamedTuple):
    """A way to features of images that no set holds.

    Attributes:
        shape: of an image, (3, H, W).
        encode: images (n, 3, H, W), taken without preprocessing, to unit-norm features (n, D).
    """

    shape: tuple[int, ...]
    encode: Callable[[Tensor], Tensor]


class Input:
    """Base of the kinds of input that only some runs have.

    Attributes:
        how_to_provide: completes 'needs ...' in the line that says why a detector was not run.
    """

    how_to_provide: ClassVar[str]


class TensorInput(Input):
    """An input that can travel in a detector folder, since its fields are tensors. Subclasses are dataclasses."""

    def tensors(self) -> dict[str, Tensor]:
        """Its fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(cast(Any, self))}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The input of these fields; the inverse of :meth:`tensors`."""
        return cls(**tensors)


@dataclass(frozen=True)
class IDFeatures(TensorInput):
    """Features of ID training images.

    Args:
        image: unit-norm, float32, shape (n, D).
    """

    how_to_provide: ClassVar[str] = "ID training images (data.id_train_shards)"

    image: Tensor


@dataclass(frozen=True)
class IDLabels(TensorInput):
    """Classes of ID training images, in the order of their features.

    Args:
        label: int64, shape (n,), -1 where unknown; at least one is known.
    """

    how_to_provide: ClassVar[str] = "labels of ID training images (.cls in data.id_train_shards)"

    label: Tensor


@dataclass(frozen=True)
class TowerFeatures(TensorInput):
    """Outputs of the vision tower before the projection, for the same ID training images as :class:`IDFeatures`.

    Args:
        image: float32, not normalised, shape (n, D_pre).
    """

    how_to_provide: ClassVar[str] = COLUMNS["tower"]

    image: Tensor


@dataclass(frozen=True)
class ClassBoundsBySet(Input):
    """How similar their images the names of a label set are, for the label sets that measure it.

    Args:
        bounds: by name of the label set.
    """

    how_to_provide: ClassVar[str] = (
        "a label set that looks at ID images (ood_lightning.label_sets.interneg.InterNegNegatives)"
    )

    bounds: Mapping[str, ClassBounds]

    def of(self, label_set: str, detector: str) -> ClassBounds:
        """Those of one label set, for a detector; one that looks at no images is refused in the detector's name."""
        if label_set not in self.bounds:
            raise SettingsError(
                f"{detector} reads the label set {label_set!r}, which looks at no images: give it one of "
                f"ood_lightning.label_sets.{detector.lower()}.{detector}Negatives ({', '.join(self.bounds)})"
            )
        return self.bounds[label_set]


@dataclass(frozen=True)
class SoftTokens(Input):
    """OpenAI's 80 templates, with a vector in the place of the word.

    Args:
        templates: of the run's text tower.
    """

    how_to_provide: ClassVar[str] = "a text tower that takes vectors for tokens (open_clip's causal ones)"

    templates: SoftTokenTemplates


Kind = TypeVar("Kind", bound=Input)


class Inputs:
    """The inputs that a run has, by kind. One that is costly is made when somebody first asks for it, and kept.

    Example:
        >>> import torch
        >>> known = Inputs.of(IDFeatures(torch.eye(3)))
        >>> known[IDFeatures].image.shape
        torch.Size([3, 3])
        >>> known.lacking({IDFeatures, IDLabels})
        [<class 'ood_lightning.detectors.evidence.IDLabels'>]

    Args:
        makers: a function for each kind, which returns the input of that kind.
    """

    def __init__(self, makers: Mapping[type[Input], Callable[[], Input]] | None = None) -> None:
        self._makers = dict(makers or {})

    @classmethod
    def of(cls, *ready: Input) -> Self:
        """The inputs of these values, each under its own class."""
        return cls({type(value): partial(_itself, value) for value in ready})

    def offering(self, kind: type[Kind], make: Callable[[], Kind]) -> Self:
        """The same inputs and one more, which `make` returns; it is called once, when somebody asks for the input."""
        return type(self)({**self._makers, kind: cache(make)})

    def __contains__(self, kind: type[Input]) -> bool:
        return kind in self._makers

    def __getitem__(self, kind: type[Kind]) -> Kind:
        if kind not in self._makers:
            raise SettingsError(
                f"{kind.__name__} is not there: it needs {kind.how_to_provide}. Whoever reads it names it in its "
                f"required_inputs and is then left out of such a run"
            )
        return cast(Kind, self._makers[kind]())  # `of` and `offering` file each value under its class

    def lacking(self, kinds: Iterable[type[Input]]) -> list[type[Input]]:
        """Those of the kinds that are not there, in the order of their names."""
        return sorted((kind for kind in kinds if kind not in self), key=lambda kind: kind.__name__)


def _itself(value: Input) -> Input:
    return value


@dataclass(frozen=True)
class Evidence:
    """What a run offers to its detectors.

    Args:
        label_sets: by name.
        encoder: fingerprint of the run's encoder.
        image_tower: the run's.
        available: inputs that only some runs have; `evidence[IDFeatures]` reads one.
    """

    label_sets: Mapping[str, ReadyLabelSet]
    encoder: str
    image_tower: ImageTower
    available: Inputs

    @classmethod
    def of(cls, label_sets: Mapping[str, ReadyLabelSet], encoder: Encoder, available: Inputs) -> Self:
        """The evidence of a run with this encoder, which is loaded."""
        tower = ImageTower(encoder.image_shape, encoder.encode_image)
        return cls(label_sets, encoder.fingerprint, tower, available)

    def labels(self, name: str) -> LabelFeatures:
        """Text features of a label set."""
        return self.label_sets[name].features

    def __getitem__(self, kind: type[Kind]) -> Kind:
        return self.available[kind]


def needed(lacking: Iterable[type[Input]], columns: Iterable[str] = ()) -> str:
    """The words 'needs ...' for inputs and columns of the test images that a run does not have.

    Args:
        lacking: kinds of input.
        columns: `tower`, `patches` or `length`.
    """
    provided = [*(kind.how_to_provide for kind in lacking), *(COLUMNS[column] for column in columns)]
    return f"needs {' and '.join(dict.fromkeys(provided))}"
