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
from ood_lightning.encoders.blanks import BLANK
from ood_lightning.errors import FeatureError, SettingsError
from ood_lightning.functional.intermodal import Border
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.features import label_features, negative_words, positives_under
from ood_lightning.label_sets.sources import LabelSource
from ood_lightning.label_sets.vocabulary import lexica

WHENCE = {
    "id_features": "ID training images (data.id_train_shards)",
    "id_labels": "labels of ID training images (.cls in data.id_train_shards)",
    "borders": "a label set that looks at ID images (ood_lightning.label_sets.interneg.InterNegNegatives)",
    "blanks": "a text tower that takes vectors for tokens (open_clip's causal ones)",
    "patches": "patch features (data.encoder.also: [patches])",
    "tower": "tower features (data.encoder.also: [tower])",
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
        asked: fields of :class:`Evidence` and columns that some detector of the run reads; `blanks` and `tower` are
            given to none otherwise.

    Raises:
        SettingsError: if no label set can be made.
    """
    given = _given(id_train, device)
    unmade = {name: reason(lacking) for name, s in sources.items() if (lacking := given.lacks(s.inputs))}
    made = {name: source for name, source in sources.items() if name not in unmade}
    if not made:
        raise SettingsError(f"no label set can be made: {'; '.join(f'{name} {why}' for name, why in unmade.items())}")
    under = lexica(made, corpus, prompts, bank, id_train)
    label_sets = {name: source.label_set(under[name]) for name, source in made.items()}
    for name, label_set in label_sets.items():
        if label_set.edited:
            rank_zero_info(f"label set {name!r} was edited by hand after it was made")
        for odd in label_set.oddities():
            rank_zero_info(f"label set {name!r}: {odd}")
    borders = {name: limit for name, source in made.items() if (limit := source.border(under[name])) is not None}
    evidence = replace(
        given,
        labels={
            name: label_features(found, under[name], encoder.logit_scale, device) for name, found in label_sets.items()
        },
        texts={name: (found.words, negative_words(found, under[name])) for name, found in label_sets.items()},
        encode={name: partial(bank.encode, prompts=lexicon.prompts) for name, lexicon in under.items()},
        encoder=encoder.fingerprint,
        prompts={name: lexicon.prompts.fingerprint for name, lexicon in under.items()},
        positives_under=positives_under(label_sets, under),
        image_tower=ImageTower(encoder.image_shape, encoder.encode_image),
        borders={name: Border(*(part.to(device) for part in limit)) for name, limit in borders.items()} or None,
    )
    if "blanks" in asked and encoder.takes_vectors:
        evidence = replace(evidence, blanks=encoder.blanks(Prompts(OPENAI_80).fill(f" {BLANK} ")))
    if "tower" in asked and id_train is not None and "tower" in id_train.columns:
        evidence = replace(evidence, id_tower=id_train.columns["tower"].rows(0, len(id_train)).to(device))
    return Prepared(label_sets, unmade, evidence)


def reason(lacking: Sequence[str]) -> str:
    """Why a detector or a label set is left out, from the fields and columns that it lacks."""
    return f"needs {' and '.join(WHENCE[what] for what in lacking)}"


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
