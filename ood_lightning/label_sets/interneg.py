"""A label set whose negatives are chosen by ID training images: InterNeg."""

from __future__ import annotations

from dataclasses import dataclass

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.class_names import read_names
from ood_lightning.detectors.evidence import IDFeatures, IDLabels, Input
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import ClassBounds, class_bounds, shots
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.below_border import mine_below
from ood_lightning.label_sets.nearest import nearest_words
from ood_lightning.label_sets.recipe import recipe
from ood_lightning.label_sets.sources import LabelSource, Vocabulary


@dataclass(frozen=True)
class InterNegNegatives(LabelSource):
    """The true names and the words that the images of every class are less like than its own name (InterNeg).

    Differs: features of the images as they are, where the code crops and flips at random; the run's prompts for names
    and words alike. A class without images sets no bound.

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
    def required_inputs(self) -> frozenset[type[Input]]:  # noqa: D102
        return frozenset({IDFeatures if self.pseudo_labels else IDLabels})

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """Rank what stays below the border."""
        names, bounds = read_names(self.names), self.class_bounds(vocabulary)
        assert vocabulary.id_train is not None  # or there were no border
        given = ["id_images", "id_names"] if self.pseudo_labels else ["id_images", "id_labels", "id_names"]
        about = recipe(vocabulary.words, vocabulary.prompts, vocabulary.bank.encoder, supervision=given)
        about["id_set"] = {"name": vocabulary.id_train.name, "pictures": len(vocabulary.id_train)}
        about |= {"shots": self.shots, "seed": self.seed, "pseudo_labels": self.pseudo_labels}
        about["classes_with_images"] = len(bounds.thresholds)
        words = vocabulary.words
        return mine_below(names, bounds, words.words, vocabulary.features, words.parts, self.count, about)

    def class_bounds(self, vocabulary: Vocabulary) -> ClassBounds:  # noqa: D102
        names, given = read_names(self.names), vocabulary.id_train
        if given is None:
            raise LabelSetError("InterNegNegatives needs ID training images: `test` has them by data.id_train_shards")
        features = vocabulary.encode(names, "ID names")
        labels = nearest_words(given.image, features, features.device).indices if self.pseudo_labels else given.label
        if self.shots < 1 or labels.max() < 0 or labels.max() >= len(names):
            raise LabelSetError(
                f"InterNegNegatives has {self.shots} shots, set {given.name!r} labels up to {int(labels.max())}, and "
                f"{self.names} {len(names)} names: expected at least one shot, and a name for every label"
            )
        chosen = shots(labels, self.shots, self.seed)
        return class_bounds(features, unit(given.image[chosen].float()), labels[chosen])
