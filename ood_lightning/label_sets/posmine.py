"""PosMine: words that are the nearest one of many images.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, section 3: positives are the words of the corpus
that are the top match of at least M images (M = 100 on ImageNet).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.votes import counts


def posmine(
    nearest: Tensor, words: Sequence[str], min_images: int, recipe: dict[str, Any], most: int | None = None
) -> LabelSet:
    """Positives that at least `min_images` images name; negatives are the rest of the corpus.

    Args:
        nearest: index of each image's nearest word, shape (N,).
        words: the corpus.
        min_images: M.
        recipe: what made the inputs, plain data; stored in the label set.
        most: keep at most so many words, those of the most images, the earlier one of two with equally many; with a
            `min_images` of 1 the number of positives is fixed by it. None: all.

    Raises:
        LabelSetError: if no word is named that often, or `most` is below 1.
    """
    if most is not None and most < 1:
        raise LabelSetError(f"PosMine: most is {most}, expected at least 1")
    named = counts(nearest, len(words))
    kept = [(int(n), i) for i, n in enumerate(named.tolist()) if n >= min_images]
    if not kept:
        raise LabelSetError(
            f"PosMine: no word is the nearest of {min_images} images (the most frequent has {int(named.max())} of "
            f"{len(nearest)}): lower min_images"
        )
    kept.sort(key=lambda entry: (-entry[0], entry[1]))
    positives = tuple(Positive(words[i], images=n) for n, i in kept[:most])
    about = {"method": "PosMine", **recipe, "min_images": min_images, "supervision": ["id_images"]}
    if most is not None:
        about["most"] = most
    return LabelSet(positives, None, about)
