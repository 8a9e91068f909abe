"""InterNeg's negatives: words that every class's images are less similar to than to the class's own name.

    b_k = z_k . m_k,   admissible: z_w . m_k < b_k for all k,   rank: mean_k (b_k - z_w . m_k), largest first

with m_k the unit mean feature of a few ID training images of class k. Where the corpus knows parts of speech,
adjectives get their share of the admissible words.

Source: Xu et al., CVPR 2026 ("Mind the Way You Select Negative Texts"), and its code,
https://github.com/ZhikangXu0112/InterNeg.
Differs: the chosen words are ordered by their rank, where the code lists adjectives before nouns; ID names are compared
    in lower case when they are taken out of the corpus. Where fewer words are admissible than asked for, all of them.
    Image features are the stored ones, where the code crops and flips at random; the run's prompts stand around names
    and words alike. A class without images sets no bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.class_names import read_names
from ood_lightning.detectors.evidence import IDLabels, Input, Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import ClassBounds, class_bounds, gaps, shots
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.negatives import rest_of
from ood_lightning.label_sets.training_images import IDTrainingSet, nearest_words
from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class InterNegNegatives(LabelSource):
    """The true names and the words that the images of every class are less similar to than to its name (InterNeg).

    Args:
        names: a set with a manifest, or a text file with one name a line, in the order of the images' labels.
        count: negatives; all admissible words where they are fewer.
        shots: ID training images of each class, random ones; all where a class has fewer.
        seed: of their choice.
        pseudo_labels: name each training image by its nearest name, and do without its label.
    """

    names: str
    count: int = 2000
    shots: int = 16
    seed: int = 0
    pseudo_labels: bool = False

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Images, and their labels unless the nearest names stand in for them."""
        return frozenset({IDTrainingSet} if self.pseudo_labels else {IDTrainingSet, IDLabels})

    def known(self, vocabulary: Vocabulary) -> None:
        """Nothing but that its names can be read."""
        read_names(self.names)

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the admissible words."""
        bounds, images = self.class_bounds(vocabulary, available), available[IDTrainingSet].images.features
        supervision = ["id_images", "id_names"] if self.pseudo_labels else ["id_images", "id_labels", "id_names"]
        recipe = vocabulary.recipe(supervision=supervision) | {
            "id_set": {"name": images.name, "pictures": len(images)},
            "shots": self.shots,
            "seed": self.seed,
            "pseudo_labels": self.pseudo_labels,
            "classes_with_images": len(bounds.thresholds),
        }

        words, names = vocabulary.words, read_names(self.names)
        return mine_below(names, bounds, words.words, vocabulary.features, words.parts, self.count, recipe)

    def class_bounds(self, vocabulary: Vocabulary, available: Inputs) -> ClassBounds:
        """Cosine of each name to the mean image of its class."""
        images, names = available[IDTrainingSet].images.features, read_names(self.names)
        features = vocabulary.encode(names, "ID names")
        labels = nearest_words(images.image, features, features.device).indices if self.pseudo_labels else images.label
        if self.shots < 1 or labels.max() < 0 or labels.max() >= len(names):
            raise LabelSetError(
                f"InterNegNegatives has {self.shots} shots, set {images.name!r} labels up to {int(labels.max())}, and "
                f"{self.names} {len(names)} names: expected at least one shot, and a name for every label"
            )
        chosen = shots(labels, self.shots, self.seed)
        return class_bounds(features, unit(images.image[chosen].float()), labels[chosen])


def mine_below(
    names: Sequence[str],
    bounds: ClassBounds,
    words: Sequence[str],
    word_features: Tensor,
    parts: Sequence[str] | None,
    count: int,
    recipe: dict[str, Any],
) -> LabelSet:
    """A label set of the names and the `count` words farthest below the bounds, the farthest first.

    Args:
        names: positives in order.
        bounds: of the names, from the images of their classes.
        words: the corpus.
        word_features: unit-norm, (V, D).
        parts: of speech of the words (`noun` or `adj`); None: one ranking of all.
        count: number of negatives, at least 1.
        recipe: what made the inputs, plain data; stored in the label set.

    Raises:
        LabelSetError: if no word is admissible, or count is below 1.
    """
    if count < 1:
        raise LabelSetError(f"{count} negatives wanted, expected at least 1")

    rows = rest_of(words, names)
    gap = gaps(word_features[rows], bounds)
    admissible = gap.admissible.nonzero()[:, 0]
    if not len(admissible):
        raise LabelSetError(
            f"none of {len(rows)} words is less like the images of all {len(bounds.thresholds)} classes than their own "
            f"names are: use a larger corpus, or check that labels and names are in one order"
        )
    ranked = admissible[gap.mean[admissible].argsort(descending=True, stable=True)]

    # Adjectives get the share that they have of the admissible words, rounded down; nouns get the rest.
    adjective = torch.tensor([parts is not None and parts[row] == "adj" for row in rows[ranked].tolist()])
    n_adjectives = int(adjective.sum())
    count = min(count, len(ranked))
    share = count * n_adjectives // len(ranked)

    # Position of each word among those of its own part of speech, from 1 on.
    position = torch.where(adjective, adjective.cumsum(0), (~adjective).cumsum(0))
    chosen = rows[ranked[position <= torch.where(adjective, share, count - share)]]

    recipe = {"method": "InterNeg", **recipe, "negatives": count, "admissible": len(ranked)}
    if parts is not None:
        recipe["adjectives"] = {"negatives": share, "admissible": n_adjectives}
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[row] for row in chosen.tolist()), recipe)
