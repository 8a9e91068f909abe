"""A label set's words and features, as detectors compare images with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import LabelFeatures

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ood_lightning.corpora.words import Words
    from ood_lightning.label_sets.sources import Vocabulary


def label_features(labels: LabelSet, vocabulary: Vocabulary, logit_scale: float, device: torch.device) -> LabelFeatures:
    """Text features of a label set on a device.

    Negatives that are the rest of the corpus come as often as the corpus has them; positives once, listed negatives as
    often as they are listed.
    """
    marked = labels.recipe.get("adjectives", {})
    positives = vocabulary.encode(labels.words, "positives", marked.get("positives", ()))
    if labels.negatives is None:
        negatives = vocabulary.features[_rest(vocabulary.words, labels)]
    elif labels.negatives:
        negatives = vocabulary.encode(labels.negatives, "negatives", marked.get("negatives", ()))
    else:
        negatives = positives[:0]
    return LabelFeatures(positives.to(device), negatives.to(device), logit_scale)


def negative_words(labels: LabelSet, vocabulary: Vocabulary) -> Sequence[str]:
    """The negatives as texts, in the order of their features."""
    if labels.negatives is None:
        return [vocabulary.words.words[i] for i in _rest(vocabulary.words, labels).tolist()]
    return labels.negatives


def _rest(words: Words, labels: LabelSet) -> Tensor:
    """Rows of the corpus that are no positive, each as often as the corpus has its word."""
    import torch

    from ood_lightning.label_sets.negatives import rest_of

    rows = rest_of(words.words, labels.words)
    return rows if words.counts is None else rows.repeat_interleave(torch.tensor(words.counts)[rows])
