"""Label sets and evidence of a run, made before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.corpora.prompts import OPENAI_80, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.base import Evidence, ImageTower
from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.soft_tokens import BLANK
from ood_lightning.errors import FeatureError, SettingsError
from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.features import label_features, negative_words, positives_under
from ood_lightning.label_sets.sources import LabelSource
from ood_lightning.label_sets.vocabulary import build_vocabularies

HOW_TO_PROVIDE = {
    "id_features": "ID training images (data.id_train_shards)",
    "id_labels": "labels of ID training images (.cls in data.id_train_shards)",
    "class_bounds": "a label set that looks at ID images (ood_lightning.label_sets.interneg.InterNegNegatives)",
    "soft_tokens": "a text tower that takes vectors for tokens (open_clip's causal ones)",
    "patches": "patch features (data.encoder.extra_features: [patches])",
    "tower": "tower features (data.encoder.extra_features: [tower])",
}


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
    asked: frozenset[str],
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
        asked: fields of :class:`Evidence` and columns that some detector of the run reads; `soft_tokens` and `tower`
            are given to none otherwise.

    Raises:
        SettingsError: if no label set can be made.
    """
    given = _given(id_train, device)
    unmade = {name: reason(lacking) for name, s in sources.items() if (lacking := given.lacks(s.required_inputs))}
    made = {name: source for name, source in sources.items() if name not in unmade}
    if not made:
        raise SettingsError(f"no label set can be made: {'; '.join(f'{name} {why}' for name, why in unmade.items())}")
    under = build_vocabularies(made, corpus, prompts, bank, id_train)
    label_sets = {name: source.label_set(under[name]) for name, source in made.items()}
    for name, label_set in label_sets.items():
        if label_set.edited:
            rank_zero_info(f"label set {name!r} was edited by hand after it was made")
        for odd in label_set.oddities():
            rank_zero_info(f"label set {name!r}: {odd}")
    class_bounds = {
        name: bounds for name, source in made.items() if (bounds := source.class_bounds(under[name])) is not None
    }
    evidence = replace(
        given,
        labels={
            name: label_features(found, under[name], encoder.logit_scale, device) for name, found in label_sets.items()
        },
        texts={name: (found.words, negative_words(found, under[name])) for name, found in label_sets.items()},
        encode={name: partial(bank.encode, prompts=vocabulary.prompts) for name, vocabulary in under.items()},
        encoder=encoder.fingerprint,
        prompts={name: vocabulary.prompts.fingerprint for name, vocabulary in under.items()},
        positives_under=positives_under(label_sets, under),
        image_tower=ImageTower(encoder.image_shape, encoder.encode_image),
        class_bounds={name: ClassBounds(*(part.to(device) for part in bounds)) for name, bounds in class_bounds.items()}
        or None,
    )
    if "soft_tokens" in asked and encoder.supports_soft_tokens:
        evidence = replace(evidence, soft_tokens=encoder.soft_token_templates(Prompts(OPENAI_80).fill(f" {BLANK} ")))
    if "tower" in asked and id_train is not None and "tower" in id_train.columns:
        evidence = replace(evidence, id_tower=id_train.columns["tower"].rows(0, len(id_train)).to(device))
    return Prepared(label_sets, unmade, evidence)


def reason(lacking: Sequence[str]) -> str:
    """Why a detector or a label set is left out, from the fields and columns that it lacks."""
    return f"needs {' and '.join(HOW_TO_PROVIDE[what] for what in lacking)}"


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


def _given(id_train: Features | None, device: torch.device) -> Evidence:
    """What is known of ID training images, before there are label sets."""
    if id_train is None:
        return Evidence({})
    labels = id_train.label.to(device) if (id_train.label >= 0).any() else None
    return Evidence({}, unit(id_train.image.float()).to(device), labels)
