"""Evidence for detectors under test: label sets as tensors, and dummies for what the detector does not read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.compared_texts import OwnTexts
from ood_lightning.detectors.evidence import Evidence, ImageTower, Input, Inputs, LabelFeatures, ReadyLabelSet, Texts


def unexpected(*args: object) -> Any:
    raise AssertionError("this detector encodes nothing")


TOWER = ImageTower((3, 2, 2), unexpected)


def ready(
    features: LabelFeatures,
    texts: tuple[Sequence[str], Sequence[str]] = ((), ()),
    *,
    prompts: str = "p" * 64,
    encode: Callable[[Sequence[str]], Tensor] = unexpected,
    positives_under: Callable[[Any], Tensor] = unexpected,
) -> ReadyLabelSet:
    words = LabelSet((Positive("a word"),), (), {})
    sides = OwnTexts(features.positives), OwnTexts(features.negatives)
    return ReadyLabelSet(words, *sides, features.logit_scale, Texts(*texts), prompts, encode, positives_under)


def evidence_of(
    label_sets: Mapping[str, LabelFeatures | ReadyLabelSet],
    *available: Input,
    encoder: str = "e" * 16,
    image_tower: ImageTower = TOWER,
) -> Evidence:
    made = {name: ready(one) if isinstance(one, LabelFeatures) else one for name, one in label_sets.items()}
    return Evidence(made, encoder, image_tower, Inputs.of(*available))
