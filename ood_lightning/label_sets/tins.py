"""TINS's negatives: InterNeg's admissible words, with the bounds of the first images of each class, adjectives first.

Source: TINS, 2026, https://arxiv.org/abs/2605.10756, and its code, https://github.com/zxk1212/tins.
Differs: as InterNeg's here do, but for the order of the words, which is the code's; a part of speech whose share rounds
    to no word gets none, where the code takes one. The code's corpus keeps capitals.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.functional.intermodal import first_shots
from ood_lightning.label_sets.interneg import BoundedNegatives
from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class TINSNegatives(BoundedNegatives):
    """The true names and the words that the images of every class are less similar to than to its name (TINS).

    Args:
        names: a set with a manifest, or a text file with one name a line, in the order of the images' labels; or a
            label set, whose positives take the place of names; None: names of the run's ID set.
        count: negatives; all admissible words where they are fewer.
        shots: ID training images of each class, the first ones of the set; all where a class has fewer.
        pseudo_labels: name each training image by its nearest name, and do without its label.
    """

    method: ClassVar[str] = "TINS"

    def chosen_shots(self, labels: Tensor) -> Tensor:
        """The first ones."""
        return first_shots(labels, self.shots)

    def ordered(self, mined: LabelSet, vocabulary: Vocabulary) -> LabelSet:
        """Adjectives, then nouns, each by its rank."""
        return adjectives_first(mined, vocabulary.words.adjectives)


def adjectives_first(label_set: LabelSet, adjectives: Collection[str]) -> LabelSet:
    """The set with those of its negatives in front that are adjectives, both parts in the order that they have."""
    negatives = sorted(label_set.negatives or (), key=lambda word: word not in adjectives)
    return replace(label_set, negatives=tuple(negatives))
