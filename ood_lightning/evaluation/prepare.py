"""Label sets and evidence of a run, made before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.corpora.prompts import OPENAI_80, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import (
    ClassBoundsBySet,
    Evidence,
    IDFeatures,
    IDLabels,
    ImageTower,
    Inputs,
    SoftTokens,
    TowerFeatures,
    needed,
)
from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.soft_tokens import BLANK
from ood_lightning.errors import FeatureError, SettingsError
from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.ready import ready
from ood_lightning.label_sets.sources import LabelSource
from ood_lightning.label_sets.vocabulary import build_vocabularies


class Prepared(NamedTuple):
    """What detectors are bound to.

    Attributes:
        label_sets: those that could be made, by name.
        unmade: why the others could not, by name.
        evidence: their features and words, and whatever else the run has.
    """

    label_sets: dict[str, LabelSet]
    unmade: dict[str, str]
    evidence: Evidence


def prepare(
    encoder: Encoder,
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    id_train: Features | None,
    device: torch.device,
) -> Prepared:
    """Make or read every label set and its text features.

    Args:
        encoder: loaded.
        sources: of label sets, by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached.
        id_train: ID training images, where the run has some.
        device: where detectors compute.

    Raises:
        SettingsError: if no label set can be made.
    """
    available = _of_training_images(id_train, device)
    unmade = {
        name: needed(lacking)
        for name, source in sources.items()
        if (lacking := available.lacking(source.required_inputs))
    }
    made = {name: source for name, source in sources.items() if name not in unmade}
    if not made:
        raise SettingsError(f"no label set can be made: {'; '.join(f'{name} {why}' for name, why in unmade.items())}")

    vocabularies = build_vocabularies(made, corpus, prompts, bank, id_train)
    label_sets = {name: source.label_set(vocabularies[name]) for name, source in made.items()}
    for name, label_set in label_sets.items():
        if label_set.edited:
            rank_zero_info(f"label set {name!r} was edited by hand after it was made")
        for odd in label_set.oddities():
            rank_zero_info(f"label set {name!r}: {odd}")

    bounds = {
        name: ClassBounds(*(part.to(device) for part in drawn))
        for name, source in made.items()
        if (drawn := source.class_bounds(vocabularies[name])) is not None
    }
    if bounds:
        available = available.offering(ClassBoundsBySet, lambda: ClassBoundsBySet(bounds))
    if encoder.supports_soft_tokens:
        available = available.offering(SoftTokens, lambda: _soft_tokens(encoder))
    ready_sets = {name: ready(label_set, vocabularies[name], device) for name, label_set in label_sets.items()}
    tower = ImageTower(encoder.image_shape, encoder.encode_image)
    return Prepared(label_sets, unmade, Evidence(ready_sets, encoder.fingerprint, tower, available))


def _soft_tokens(encoder: Encoder) -> SoftTokens:
    return SoftTokens(encoder.soft_token_templates(Prompts(OPENAI_80).fill(f" {BLANK} ")))


def check_dimensions(sets: Sequence[Features], dim: int, encoder: str) -> None:
    """Refuse images whose features cannot be compared with the texts'.

    Raises:
        FeatureError: naming the set.
    """
    for features in sets:
        if features.image.shape[1] != dim:
            raise FeatureError(
                f"set {features.name!r} has features of {features.image.shape[1]} dimensions, the texts of encoder "
                f"{encoder!r} have {dim}: its feature files are another encoder's. Embed it again"
            )


def _of_training_images(id_train: Features | None, device: torch.device) -> Inputs:
    """What is known of ID training images; each input is made when somebody asks for it."""
    available = Inputs()
    if id_train is None:
        return available
    image, label, columns = id_train.image, id_train.label, id_train.columns
    available = available.offering(IDFeatures, lambda: IDFeatures(unit(image.float()).to(device)))
    if (label >= 0).any():
        available = available.offering(IDLabels, lambda: IDLabels(label.to(device)))
    if "tower" in columns:
        available = available.offering(
            TowerFeatures, lambda: TowerFeatures(columns["tower"].rows(0, len(image)).to(device))
        )
    return available
