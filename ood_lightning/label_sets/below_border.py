"""InterNeg's negatives: words that every class's images are less like than the class's own name.

    b_k = z_k . m_k,   admissible: z_w . m_k < b_k for all k,   rank: mean_k (b_k - z_w . m_k), largest first

with m_k the unit mean feature of a few ID training images of class k. Where the corpus knows parts of speech,
adjectives get their share of the admissible words.

Source: Xu et al., CVPR 2026 ("Mind the Way You Select Negative Texts"), and its code,
https://github.com/ZhikangXu0112/InterNeg.
Differs: the chosen words are ordered by their rank, where the code lists adjectives before nouns; ID names are compared
    in lower case when they are taken out of the corpus. Where fewer words are admissible than wanted, all of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import ClassBounds, gaps
from ood_lightning.label_sets.negatives import rest_of


def mine_below(
    names: Sequence[str],
    bounds: ClassBounds,
    words: Sequence[str],
    word_features: Tensor,
    parts: Sequence[str] | None,
    count: int,
    recipe: dict[str, Any],
) -> LabelSet:
    """A label set of the names and the `count` words farthest below the border, the farthest first.

    Args:
        names: positives in order.
        bounds: what the names and their images draw.
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
    found = gaps(word_features[rows], bounds)
    kept = found.admissible.nonzero()[:, 0]
    if not len(kept):
        raise LabelSetError(
            f"none of {len(rows)} words is less like the images of all {len(bounds.thresholds)} classes than their own "
            f"names are: use a larger corpus, or check that labels and names are in one order"
        )
    ranked = kept[found.mean[kept].argsort(descending=True, stable=True)]
    adjective = torch.tensor([parts is not None and parts[i] == "adj" for i in rows[ranked].tolist()])
    n_adjectives = int(adjective.sum())
    count = min(count, len(ranked))
    share = count * n_adjectives // len(ranked)
    place = torch.where(adjective, adjective.cumsum(0), (~adjective).cumsum(0))
    chosen = rows[ranked[place <= torch.where(adjective, share, count - share)]]
    about = {"method": "InterNeg", **recipe, "negatives": count, "admissible": len(ranked)}
    if parts is not None:
        about["adjectives"] = {"negatives": share, "admissible": n_adjectives}
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[i] for i in chosen.tolist()), about)
