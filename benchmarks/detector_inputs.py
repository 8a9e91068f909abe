"""What the benchmarked detectors read: label sets of ImageNet's size over a corpus, and labelled ID images."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.compared_texts import OwnTexts
from ood_lightning.detectors.evidence import (
    Evidence,
    IDFeatures,
    IDLabels,
    ImageTower,
    Inputs,
    ReadyLabelSet,
    Texts,
)
from ood_lightning.functional.similarity import unit


class Sizes(NamedTuple):
    """Numbers of vectors.

    Attributes:
        dim: of all of them, D.
        words: of the corpus.
        names: ID names; classes of the ID training images.
        negatives: of NegLabel's set.
        shots: ID training images of each class.
        patches: of an image.
    """

    dim: int
    words: int
    names: int
    negatives: int
    shots: int
    patches: int

    def of(self, label_set: str) -> int:
        """Texts of a label set."""
        return self.names + {"names": 0, "neglabel": self.negatives, "corpus": self.words}[label_set]


def unit_vectors(n: int, dim: int, draw: torch.Generator) -> Tensor:
    """Random ones, (n, dim)."""
    return unit(torch.randn(n, dim, generator=draw))


def evidence(sizes: Sizes, draw: torch.Generator) -> Evidence:
    """Label sets `names`, `neglabel` and `corpus`, and labelled ID images."""
    corpus, names = (unit_vectors(n, sizes.dim, draw) for n in (sizes.words, sizes.names))
    negatives = {"names": corpus[:0], "neglabel": corpus[: sizes.negatives], "corpus": corpus}

    labels = torch.arange(sizes.names).repeat_interleave(sizes.shots)
    images = unit(names[labels] + torch.randn(len(labels), sizes.dim, generator=draw))
    known = unit_vectors(4096, sizes.dim, draw)  # what encoders give, so that they take no time
    return Evidence(
        {name: _ready(names, texts, known) for name, texts in negatives.items()},
        "random",
        ImageTower((3, 8, 8), lambda images: known[: len(images)]),
        Inputs.of(IDFeatures(images), IDLabels(labels)),
    )


def _ready(positives: Tensor, negatives: Tensor, known: Tensor) -> ReadyLabelSet:
    return ReadyLabelSet(
        LabelSet((Positive("random"),), (), {}),
        OwnTexts(positives),
        OwnTexts(negatives),
        100.0,
        Texts([f"p{i}" for i in range(len(positives))], [f"n{i}" for i in range(len(negatives))]),
        prompts="random",
        encode=partial(_encoded, known),
        positives_under=lambda make: known[: len(positives)],
    )


def _encoded(known: Tensor, texts: Sequence[str]) -> Tensor:
    return known[torch.arange(len(texts)) % len(known)]
