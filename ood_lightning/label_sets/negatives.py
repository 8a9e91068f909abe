"""Negative labels for given positives: the words of a corpus least similar to them.

Source: Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078 (NegLabel): distance of a word is the 95 % quantile of
its cosines to the ID names; the words with the smallest one are kept.
Differs: one joint ranking of the corpus (as ClusterMine's NegLabel rows), and the ID names are taken out of it first,
which the official code leaves to the ranking.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.selection import farthest, farthest_by_part, quantile_cosine, shared_out
from ood_lightning.spelling import folded


def rest_of(words: Sequence[str], positives: Sequence[str], count: int = 0) -> Tensor:
    """Rows of the corpus that are no positive, in order; compared without case, blanks made one.

    Args:
        words: the corpus.
        positives: that are left out.
        count: negatives that are wanted of the rest.

    Raises:
        LabelSetError: if the rest has fewer words than are wanted.
    """
    taken = {folded(word) for word in positives}
    rows = [i for i, word in enumerate(_folded(tuple(words))) if word not in taken]
    if count > len(rows):
        raise LabelSetError(
            f"{count} negatives wanted, the corpus has {len(rows)} words that are no positive: ask for fewer"
        )
    return torch.tensor(rows, dtype=torch.int64)


@lru_cache(maxsize=1)  # a run asks for the rest of one corpus again and again: 0.1 s for 79,403 words
def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(folded, words))


def mine_negatives(
    names: Sequence[str],
    name_features: Tensor,
    words: Sequence[str],
    word_features: Tensor,
    count: int | None,
    recipe: dict[str, Any],
    quantile: float = 0.95,
) -> LabelSet:
    """A label set of the names and the `count` least similar words, the least similar first.

    Args:
        names: positives in order; a duplicated name counts twice in every score, as in published evaluations.
        name_features: unit-norm, (P, D).
        words: the corpus.
        word_features: unit-norm, (V, D).
        count: K, number of negatives; None: all words that are no name.
        recipe: what made the inputs, plain data; stored in the label set.
        quantile: of a word's cosines to the names, in (0, 1].

    Raises:
        LabelSetError: if the corpus has fewer than `count` other words, or none.
    """
    rows = rest_of(words, names, 1 if count is None else count)
    count = len(rows) if count is None else count
    chosen = rows[farthest(quantile_cosine(word_features[rows], name_features, quantile), count)]
    recipe = {"method": "NegLabel", **recipe, "negatives": count, "quantile": quantile, "supervision": ["id_names"]}
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[row] for row in chosen.tolist()), recipe)


def mine_by_part(
    names: Sequence[str],
    name_features: Tensor,
    words: Words,
    word_features: Tensor,
    recipe: dict[str, Any],
    *,
    share: float = 0.15,
    count: int | None = None,
    quantile: float = 0.95,
    interpolate: bool = True,
    same_cosine: float | None = None,
    without_names: bool = False,
    adjectives_first: bool = False,
) -> LabelSet:
    """A label set of the names and the least similar nouns and adjectives, each kind ranked on its own.

    Args:
        names: positives in order.
        name_features: unit-norm, (P, D).
        words: the corpus; without parts of speech all are nouns.
        word_features: unit-norm, (V, D).
        recipe: what made the inputs, plain data; stored in the label set.
        share: of each kind that is kept, rounded down.
        count: of both kinds together, split as the corpus is; None: by share.
        quantile: of a word's cosines to the names.
        interpolate: see :func:`ood_lightning.functional.selection.quantile_cosine`.
        same_cosine: a word with a larger cosine to any name ranks behind all others; None: no such rule.
        without_names: words that are names, letter for letter, are taken out first.
        adjectives_first: adjectives precede nouns in the label set.

    Raises:
        LabelSetError: if no word is left, or more are wanted than there are.

    Source: the official code of NegLabel, https://arxiv.org/abs/2403.20078; with `same_cosine` that of CSP,
        https://arxiv.org/abs/2410.08611; with `count` and without `interpolate` that of OpenOOD-VLM.
    """
    taken = set(names) if without_names else set()
    rows = torch.tensor([i for i, word in enumerate(words.words) if word not in taken], dtype=torch.int64)
    is_adjective = torch.tensor([words.words[i] in words.adjectives for i in rows.tolist()], dtype=torch.bool)
    n_adjectives = int(is_adjective.sum())

    try:
        counts = shared_out(len(rows) - n_adjectives, n_adjectives, share=share, count=count)
    except ValueError as error:
        raise LabelSetError(f"negatives of {words.name!r}: {error}") from None
    if not sum(counts):
        raise LabelSetError(
            f"no negative is left of the {len(rows)} words of {words.name!r} that may be one: give a larger corpus, or "
            f"a larger share than {share}"
        )

    distance = quantile_cosine(word_features[rows], name_features, quantile, interpolate=interpolate)
    if same_cosine is not None:
        nearest = quantile_cosine(word_features[rows], name_features, 1.0)
        distance = distance.where(nearest <= same_cosine, torch.ones_like(distance))
    chosen = rows[farthest_by_part(distance, is_adjective, counts, adjectives_first=adjectives_first)]

    recipe = {
        **recipe,
        "negatives": {"nouns": counts[0], "adjectives": counts[1]},
        "quantile": quantile,
        "interpolate": interpolate,
        "same_cosine": same_cosine,
        "without_names": without_names,
        "supervision": ["id_names"],
    }
    return LabelSet(tuple(Positive(name) for name in names), tuple(words.words[row] for row in chosen.tolist()), recipe)


def augment(
    names: Sequence[str],
    name_features: Tensor,
    words: Sequence[str],
    word_features: Tensor,
    count: int,
    recipe: dict[str, Any],
) -> LabelSet:
    """The names and the `count` words most similar to one of them as positives; negatives are the rest of the corpus.

    Args:
        names: positives in order; the words follow them, the most similar first.
        name_features: unit-norm, (P, D).
        words: the corpus.
        word_features: unit-norm, (V, D).
        count: words to add, none of them a name.
        recipe: what made the inputs, plain data; stored in the label set.

    Raises:
        LabelSetError: if the corpus has not more than `count` other words.

    Source: the control of ClusterMine, https://arxiv.org/abs/2511.07068, for the number of positives.
    """
    rows = rest_of(words, names)
    if not 0 < count < len(rows):
        raise LabelSetError(
            f"{count} words to add, the corpus has {len(rows)} that are no name: add fewer, and at least one"
        )
    chosen = rows[farthest(-quantile_cosine(word_features[rows], name_features, 1.0), count)]
    positives = (*names, *(words[row] for row in chosen.tolist()))
    recipe = {"method": "augmented names", **recipe, "added": count, "supervision": ["id_names"]}
    return LabelSet(tuple(Positive(text) for text in positives), None, recipe)


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
    count = farthest_count + nearest_count
    if min(farthest_count, nearest_count) < 0 or count < 1 or not 0 < share <= 1:
        raise LabelSetError(
            f"{farthest_count} farthest and {nearest_count} nearest words at share {share}: expected at least one "
            f"word, and a fraction of the names above 0"
        )

    # The k-th largest of P cosines is their quantile at (P - k) / (P - 1).
    rows, n_names = rest_of(words, names, count), len(names)
    k = math.ceil(share * n_names - 1e-9)
    likeness = quantile_cosine(word_features[rows], name_features, (n_names - k) / max(1, n_names - 1))
    ranked = rows[farthest(likeness, len(rows))].tolist()
    chosen = ranked[:farthest_count] + ranked[len(ranked) - nearest_count :]

    recipe = {
        "method": "CLIPScope",
        **recipe,
        "farthest": farthest_count,
        "nearest": nearest_count,
        "share": share,
        "supervision": ["id_names"],
    }
    return LabelSet(tuple(Positive(name) for name in names), tuple(words[row] for row in chosen), recipe)
