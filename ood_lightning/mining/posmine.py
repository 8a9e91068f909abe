"""PosMine: words that are the nearest one of many images.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, section 3: positives are the words of the corpus
that are the top match of at least M images (M = 100 on ImageNet).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ood_lightning.data.labels import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.votes import counts


def posmine(nearest: Tensor, words: Sequence[str], min_images: int, recipe: dict[str, Any]) -> LabelSet:
    """Positives that at least `min_images` images name; negatives are the rest of the corpus.

    Args:
        nearest: index of each image's nearest word, shape (N,).
        words: the corpus.
        min_images: M.
        recipe: what made the inputs, plain data; stored in the label set.

    Raises:
        LabelSetError: if no word is named that often.
    """
    named = counts(nearest, len(words))
    kept = [(int(n), i) for i, n in enumerate(named.tolist()) if n >= min_images]
    if not kept:
        raise LabelSetError(
            f"PosMine: no word is the nearest of {min_images} images (the most frequent has {int(named.max())} of "
            f"{len(nearest)}): lower min_images"
        )
    kept.sort(key=lambda entry: (-entry[0], entry[1]))
    positives = tuple(Positive(words[i], images=n) for n, i in kept)
    about = {"method": "PosMine", **recipe, "min_images": min_images, "supervision": ["id_images"]}
    return LabelSet(positives, None, about)
