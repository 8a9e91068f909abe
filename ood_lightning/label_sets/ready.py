"""Label sets made ready: made or read, with their words, and text features on the device where detectors compute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import ReadyLabelSet, Texts
from ood_lightning.label_sets.features import label_features, negative_words

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ood_lightning.encoders.base import Encoder
    from ood_lightning.label_sets.sources import Vocabulary


def ready(label_set: LabelSet, vocabulary: Vocabulary, device: torch.device) -> ReadyLabelSet:
    """The label set with everything that detectors read of it.

    Args:
        label_set: made under the vocabulary's encoder and prompts.
        vocabulary: its corpus under its prompts.
        device: where detectors compute.
    """
    bank = vocabulary.bank
    return ReadyLabelSet(
        label_set,
        label_features(label_set, vocabulary, bank.encoder.logit_scale, device),
        Texts(label_set.words, negative_words(label_set, vocabulary)),
        vocabulary.prompts.fingerprint,
        encode=partial(bank.encode, prompts=vocabulary.prompts),
        positives_under=partial(_positives_under, label_set, vocabulary),
    )


def _positives_under(label_set: LabelSet, vocabulary: Vocabulary, make: Callable[[Encoder], Encoder]) -> Tensor:
    """See :class:`ReadyLabelSet`."""
    bank, prompts = vocabulary.bank, vocabulary.prompts.without_adjectives()
    tower = make(bank.encoder)
    return TextBank(tower, bank.cache_dir).features(label_set.words, prompts, f"positives under {tower.name}")
