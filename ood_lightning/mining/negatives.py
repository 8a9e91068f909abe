"""Negative labels for given positives: the words of a corpus least similar to them.

Source: Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078 (NegLabel): distance of a word is the 95 % quantile of
its cosines to the ID names; the words with the smallest one are kept.
Differs: one joint ranking of the corpus (as ClusterMine's NegLabel rows), and the ID names are taken out of it first,
which the official code leaves to the ranking.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ood_lightning.data.labels import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.selection import farthest, quantile_cosine


def rest_of(words: Sequence[str], positives: Sequence[str]) -> Tensor:
    """Rows of the corpus that are no positive (compared in lower case), in order."""
    taken = {word.lower() for word in positives}
    return torch.tensor([i for i, word in enumerate(words) if word.lower() not in taken], dtype=torch.int64)


def mine_negatives(
    names: Sequence[str],
    name_features: Tensor,
    words: Sequence[str],
    word_features: Tensor,
    count: int,
    recipe: dict[str, Any],
    quantile: float = 0.95,
) -> LabelSet:
    """A label set of the names and the `count` least similar words, the least similar first.

    Args:
        names: positives in order; a duplicated name counts twice in every score, as in published evaluations.
        name_features: unit-norm, (P, D).
        words: the corpus.
        word_features: unit-norm, (V, D).
        count: K, number of negatives.
        recipe: what made the inputs, plain data; stored in the label set.
        quantile: of a word's cosines to the names, in (0, 1].

    Raises:
        LabelSetError: if the corpus has fewer than `count` other words.
    """
    rows = rest_of(words, names)
    if count > len(rows):
        raise LabelSetError(
            f"{count} negatives wanted, the corpus has {len(rows)} words that are no positive: ask for fewer"
        )
    distance = quantile_cosine(word_features[rows], name_features, quantile)
    chosen = rows[farthest(distance, count)]
    about = {"method": "NegLabel", **recipe, "negatives": count, "quantile": quantile, "supervision": ["id_names"]}
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[i] for i in chosen.tolist()), about)


def mine_both_ends(
    names: Sequence[str],
    name_features: Tensor,
    words: Sequence[str],
    word_features: Tensor,
    farthest_count: int,
    nearest_count: int,
    recipe: dict[str, Any],
    share: float = 0.05,
) -> LabelSet:
    """A label set of the names and the words least and most like them, from the least similar one on.

    A word's likeness is its k-th largest cosine to the names, k = ceil(share * P): 50 of 1,000 names.

    Args:
        names: positives in order.
        name_features: unit-norm, (P, D).
        words: the corpus.
        word_features: unit-norm, (V, D).
        farthest_count: words least like the names.
        nearest_count: words most like them that are no name themselves.
        recipe: what made the inputs, plain data; stored in the label set.
        share: of the names, in (0, 1].

    Raises:
        LabelSetError: if the corpus has fewer other words than are wanted, or a number is out of its range.

    Source: Fu et al., WACV 2025, https://arxiv.org/abs/2405.14737 (CLIPScope).
    """
    rows, count = rest_of(words, names), farthest_count + nearest_count
    if min(farthest_count, nearest_count) < 0 or count < 1 or not 0 < share <= 1:
        raise LabelSetError(
            f"{farthest_count} farthest and {nearest_count} nearest words at share {share}: expected at least one "
            f"word, and a fraction of the names above 0"
        )
    if count > len(rows):
        raise LabelSetError(
            f"{count} negatives wanted, the corpus has {len(rows)} words that are no positive: ask for fewer"
        )
    k, p = math.ceil(share * len(names) - 1e-9), len(names)
    likeness = quantile_cosine(word_features[rows], name_features, (p - k) / max(1, p - 1))
    ranked = rows[farthest(likeness, len(rows))].tolist()
    chosen = ranked[:farthest_count] + ranked[len(ranked) - nearest_count :]
    about = {"method": "CLIPScope", **recipe, "farthest": farthest_count, "nearest": nearest_count, "share": share}
    about["supervision"] = ["id_names"]
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[i] for i in chosen), about)
