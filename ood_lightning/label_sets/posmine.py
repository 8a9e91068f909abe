"""PosMine: words that are the nearest one of many images.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, section 3: positives are the words of the corpus
that are the top match of at least M images (M = 100 on ImageNet).
Differs: of equally near words the earlier one of the corpus is the top match, which the paper leaves open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Input, Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.votes import counts
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.training_images import IDTrainingSet
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.ranges import Count


@dataclass(frozen=True)
class PosMine(LabelSource):
    """Positives are the words that many ID training images are nearest to; negatives are the rest of the corpus.

    Args:
        min_images: M, images that a word needs.
        max_positives: keep at most so many words, those of the most images; None: all.
    """

    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset({IDTrainingSet})

    min_images: Count = 100
    max_positives: Count | None = None

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Count the votes of all images."""
        training_set = available[IDTrainingSet]
        nearest, recipe = training_set.nearest(vocabulary).indices, training_set.recipe(vocabulary)
        return vocabulary.with_adjectives(
            posmine(nearest, vocabulary.words.words, self.min_images, recipe, self.max_positives)
        )


def posmine(
    nearest: Tensor, words: Sequence[str], min_images: int, recipe: dict[str, Any], max_positives: int | None = None
) -> LabelSet:
    """Positives that at least `min_images` images name; negatives are the rest of the corpus.

    Args:
        nearest: index of each image's nearest word, shape (N,).
        words: the corpus.
        min_images: M.
        recipe: what made the inputs, plain data; stored in the label set.
        max_positives: keep at most so many words, those of the most images, the earlier one of two with equally many;
            with a `min_images` of 1 it fixes the number of positives. None: all.

    Raises:
        LabelSetError: if no word is named that often, or `max_positives` is below 1.
    """
    if max_positives is not None and max_positives < 1:
        raise LabelSetError(f"PosMine: max_positives is {max_positives}, expected at least 1")

    n_images = counts(nearest, len(words)).tolist()
    kept = sorted((-n, row) for row, n in enumerate(n_images) if n >= min_images)
    if not kept:
        raise LabelSetError(
            f"PosMine: no word is the nearest of {min_images} images (the most frequent has {int(max(n_images))} of "
            f"{len(nearest)}): lower min_images"
        )

    positives = tuple(Positive(words[row], images=-n) for n, row in kept[:max_positives])
    recipe = {"method": "PosMine", **recipe, "min_images": min_images, "supervision": ["id_images"]}
    if max_positives is not None:
        recipe["most"] = max_positives
    return LabelSet(positives, None, recipe)
