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

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import IDLabels, Input, Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import ClassBounds, class_bounds, gaps, shots
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.initial_positives import NamesSource
from ood_lightning.label_sets.negatives import rest_of
from ood_lightning.label_sets.training_images import IDTrainingSet, nearest_words
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.ranges import Count, Seed


@dataclass(frozen=True)
class BoundedNegatives(NamesSource):
    """Base of sources that choose words below the bounds of the names; a subclass says which images set the bounds.

    Args:
        names: a set with a manifest, or a text file with one name a line, in the order of the images' labels; or a
            label set, whose positives take the place of names; None: names of the run's ID set.
        count: negatives; all admissible words where they are fewer.
        shots: ID training images of each class; all where a class has fewer.
        pseudo_labels: name each training image by its nearest name, and do without its label.
    """

    method: ClassVar[str]

    count: Count = 2000
    shots: Count = 16
    pseudo_labels: bool = False

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Names unless some are given, images, and their labels unless the nearest names stand in for them."""
        return super().required_inputs | ({IDTrainingSet} if self.pseudo_labels else {IDTrainingSet, IDLabels})

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the admissible words."""
        initial = self.initial(vocabulary, available)
        bounds, images = self.class_bounds(vocabulary, available), available[IDTrainingSet].images.features
        settings = {name: value for name, value in vars(self).items() if name not in ("names", "count")}
        recipe = vocabulary.recipe() | {
            "id_set": {"name": images.name, "pictures": len(images)},
            **settings,
            "classes_with_images": len(bounds.thresholds),
        }

        words = vocabulary.words
        mined = mine_below(
            initial.words, bounds, words.words, vocabulary.features, words.parts, self.count, {"method": self.method}
        )
        label_set = initial.with_provenance(self.ordered(mined, vocabulary), vocabulary)
        supervision = {"id_images", *(label_set.supervision if initial.origin else ["id_names"])}
        if not self.pseudo_labels:
            supervision.add("id_labels")
        return replace(label_set, recipe={**recipe, **label_set.recipe, "supervision": sorted(supervision)})

    def class_bounds(self, vocabulary: Vocabulary, available: Inputs) -> ClassBounds:
        """Cosine of each name to the mean image of its class."""
        initial = self.initial(vocabulary, available)
        if not initial.n_names and not self.pseudo_labels:
            raise LabelSetError(
                f"{self.names} holds mined words and no names, and labels of images are of names: set pseudo_labels: "
                f"true, then each image belongs to its nearest word"
            )

        images, features = available[IDTrainingSet].images.features, initial.encode(vocabulary)
        labels = nearest_words(images.image, features, features.device).indices if self.pseudo_labels else images.label
        if self.shots < 1 or labels.max() < 0 or labels.max() >= len(features):
            raise LabelSetError(
                f"{type(self).__name__} has {self.shots} shots, set {images.name!r} labels up to {int(labels.max())}, "
                f"and {self.names or 'the ID set'} {len(features)} names: expected at least one shot, and a name for "
                f"every label"
            )
        rows = self.chosen_shots(labels)
        return class_bounds(features, unit(images.image[rows].float()), labels[rows])

    @abstractmethod
    def chosen_shots(self, labels: Tensor) -> Tensor:
        """Rows of at most `shots` images of each class; all labels have shape (n,), -1 is no class."""

    def ordered(self, mined: LabelSet, vocabulary: Vocabulary) -> LabelSet:
        """The set with its negatives in the method's order; they come as ranked."""
        return mined


@dataclass(frozen=True)
class InterNegNegatives(BoundedNegatives):
    """The true names and the words that the images of every class are less similar to than to its name (InterNeg).

    Args:
        names: a set with a manifest, or a text file with one name a line, in the order of the images' labels; or a
            label set, whose positives take the place of names; None: names of the run's ID set.
        count: negatives; all admissible words where they are fewer.
        shots: ID training images of each class, random ones; all where a class has fewer.
        pseudo_labels: name each training image by its nearest name, and do without its label.
        seed: of the choice of the shots.
    """

    method: ClassVar[str] = "InterNeg"

    seed: Seed = 0

    def chosen_shots(self, labels: Tensor) -> Tensor:
        """Random ones."""
        return shots(labels, self.shots, self.seed)


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
