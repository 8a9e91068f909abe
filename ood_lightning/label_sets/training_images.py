"""ID training images as label sources and detectors ask for them, and the clusters that a fit finds among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.votes import count_votes, read_votes
from ood_lightning.detectors.evidence import IDFeatures, IDLabels, Input, Inputs, TowerFeatures
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import Top, top_k, unit
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.places import expanded
from ood_lightning.progress import bar

ROWS = 16384  # images between two moves of the progress bar


@dataclass(frozen=True)
class IDTrainingSet(Input):
    """The set of ID training images: its features in the stored dtype, on the CPU, and its manifest.

    Args:
        images: the set.
        device: where products with words are taken.
        fit_settings: of the fit that has just run on these images; recipes of label sets repeat them.
        nearest_by_vocabulary: what :meth:`nearest` has found, kept.
    """

    how_to_provide: ClassVar[str] = IDFeatures.how_to_provide

    images: FeatureSet
    device: torch.device
    fit_settings: Mapping[str, Any] = field(default_factory=dict)
    nearest_by_vocabulary: dict[tuple[str, str, str], Top] = field(default_factory=dict, repr=False, compare=False)

    def nearest(self, vocabulary: Vocabulary) -> Top:
        """Nearest word of each image and the cosine to it, each of shape (n,), on the CPU.

        Computed once for each vocabulary, since every image is compared with every word.
        """
        if vocabulary.key not in self.nearest_by_vocabulary:
            self.nearest_by_vocabulary[vocabulary.key] = nearest_words(
                self.images.features.image, vocabulary.features, self.device
            )
        return self.nearest_by_vocabulary[vocabulary.key]

    def recipe(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """What a label set that these images voted for is made from."""
        return vocabulary.recipe(self.images.manifest, **self.fit_settings)


@dataclass(frozen=True)
class Clusters(Input):
    """Clusters of the ID training images, such as a fit finds them.

    Args:
        assignments: cluster of each image, int64, shape (n,).
    """

    how_to_provide: ClassVar[str] = "clusters of the ID training images (`votes.safetensors` of a fit)"

    assignments: Tensor

    @classmethod
    def describe(cls, path: str | Path) -> str:
        """How many images a file has votes for, in words; refuses what is no such file."""
        return f"clusters of {count_votes(expanded(path)):,} pictures in {path}"

    @classmethod
    def read(cls, path: str | Path, training_set: IDTrainingSet) -> Self:
        """From `votes.safetensors` of a fit on the same images.

        Raises:
            SettingsError: it is no such file, or one of other images.
        """
        images = training_set.images
        return cls(read_votes(expanded(path), images.manifest, len(images.features))["cluster"])


def inputs_of(images: FeatureSet, device: torch.device, fit_settings: Mapping[str, Any] | None = None) -> Inputs:
    """What a set of ID training images offers; tensors are made when somebody first asks for them.

    Args:
        images: the set.
        device: where detectors compute.
        fit_settings: see :class:`IDTrainingSet`.
    """
    features = images.features
    available = Inputs.of(IDTrainingSet(images, device, fit_settings or {}))
    available = available.offering(IDFeatures, lambda: IDFeatures(_unit_float32(features.image, device)))
    if (features.label >= 0).any():
        available = available.offering(IDLabels, lambda: IDLabels(features.label.to(device)))
    if "tower" in features.columns:
        available = available.offering(
            TowerFeatures, lambda: TowerFeatures(features.columns["tower"].rows(0, len(features)).to(device))
        )
    return available


def _unit_float32(image: FeatureRows, device: torch.device) -> Tensor:
    """Features (n, D) at length one on a device, brought there a block at a time: beside them there is only a block."""
    held = torch.empty(image.shape, device=device)
    for block, rows in zip(image.split(ROWS), held.split(ROWS), strict=True):
        rows.copy_(unit(block.float()))
    return held


def nearest_words(image: FeatureRows, word_features: Tensor, device: torch.device) -> Top:
    """Nearest word of each image and the cosine to it, each of shape (N,), on the CPU.

    Args:
        image: (N, D) features in any float dtype.
        word_features: unit-norm (V, D).
        device: where the products are taken; holds V * D * 4 bytes of words.
    """
    words = word_features.to(device)
    tops = []
    with bar(len(image), f"match with {len(words):,} words", "img") as progress_bar:
        for block in image.split(ROWS):
            tops.append(top_k(unit(block.to(device)), words, 1))
            progress_bar.update(len(block))
    return Top(*(torch.cat(column)[:, 0].cpu() for column in zip(*tops, strict=True)))
