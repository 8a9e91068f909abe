"""A label set without some words and with others, and what moved between the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.moved_words import MovedWords, Texts
from ood_lightning.label_sets.ready import rest_rows
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.spelling import folded, is_blank


def edited(label_set: LabelSet, drop: Sequence[str], add: Sequence[str], vocabulary: Vocabulary) -> LabelSet:
    """The set without some words, and with others as its last positives.

    A dropped positive is a negative from then on where the negatives are the rest of the corpus; a listed negative can
    be dropped too. An added word is a positive, and no listed negative any more.

    Args:
        label_set: to change.
        drop: words of it.
        add: words that are no positives of it.
        vocabulary: that it is scored under; says which added words are adjectives.

    Raises:
        LabelSetError: a word is not there, is there already, or is none; or no positive or no negative is left.
    """
    _refuse(label_set, drop, add)
    gone, come = {folded(word) for word in drop}, {folded(word) for word in add}

    positives = [positive for positive in label_set.positives if folded(positive.label) not in gone]
    negatives = label_set.negatives
    if negatives is not None:
        negatives = tuple(word for word in negatives if folded(word) not in gone | come)
    for side, words in (("positive", [*positives, *add]), ("negative", negatives)):
        if words is not None and not words:
            raise LabelSetError(f"no {side} would be left: drop fewer words, or add some")

    recipe = {**label_set.recipe, "edited": {"of": label_set.sha256, "dropped": [*drop], "added": [*add]}}
    if vocabulary.prompts.adjectives is not None:
        marked = dict(recipe.get("adjectives", {}))
        adjectives = [word for word in add if word in vocabulary.words.adjectives]
        marked["positives"] = [word for word in marked.get("positives", ()) if folded(word) not in gone] + adjectives
        recipe["adjectives"] = marked
    return replace(
        label_set, positives=(*positives, *map(Positive, add)), negatives=negatives, recipe=recipe, edited=False
    )


def _refuse(label_set: LabelSet, drop: Sequence[str], add: Sequence[str]) -> None:
    """Refuse words that cannot be dropped or added."""
    if not drop and not add:
        raise LabelSetError("nothing would change: name words with --drop or --add")

    positives = {folded(word): word for word in label_set.words}
    everything = {**{folded(word): word for word in label_set.negatives or ()}, **positives}
    for word in drop:
        if folded(word) not in everything:
            similar = get_close_matches(folded(word), everything, n=1)
            hint = f"; did you mean {everything[similar[0]]!r}?" if similar else ""
            rest = " (its negatives are the rest of the corpus, which lists no word)" * (label_set.negatives is None)
            raise LabelSetError(f"{word!r} cannot be dropped: it is no word of the label set{rest}{hint}")

    for word in add:
        if is_blank(word):
            raise LabelSetError(f"{word!r} cannot be added: expected a text that is not empty")
        if folded(word) in positives:
            raise LabelSetError(f"{word!r} cannot be added: it is a positive already")

    for words, what in ((drop, "dropped"), (add, "added")):
        if twice := [word for word, n in Counter(map(folded, words)).items() if n > 1]:
            raise LabelSetError(f"{twice[0]!r} is {what} twice")
    if both := {folded(word) for word in drop} & {folded(word) for word in add}:
        raise LabelSetError(f"{min(both)!r} is dropped and added: name it once")


class Rests(NamedTuple):
    """Rows of the corpus that are negatives of each of two label sets, int64; a row may come more than once."""

    before: Tensor
    after: Tensor


def rests(before: LabelSet, after: LabelSet, vocabulary: Vocabulary) -> Rests | None:
    """The negatives of both sets; None where they are listed."""
    if before.negatives is not None:
        return None
    return Rests(rest_rows(before, vocabulary), rest_rows(after, vocabulary))


def moved(
    before: LabelSet, after: LabelSet, rows: Rests | None, vocabulary: Vocabulary, device: torch.device
) -> MovedWords:
    """The positives of both sets and the negatives that one of them alone has, on a device.

    Args:
        before: a label set.
        after: the same after :func:`edited`.
        rows: of both, see :func:`rests`.
        vocabulary: of both.
        device: of the features.
    """
    adjectives = {
        *before.recipe.get("adjectives", {}).get("positives", ()),
        *after.recipe.get("adjectives", {}).get("positives", ()),
    }
    words = list(dict.fromkeys([*before.words, *after.words]))
    row_of = {word: row for row, word in enumerate(words)}
    left, came = _negatives(before, after, rows, vocabulary)
    return MovedWords(
        vocabulary.encode(words, "positives", adjectives).to(device),
        torch.tensor([row_of[word] for word in before.words], device=device),
        torch.tensor([row_of[word] for word in after.words], device=device),
        Texts(*(part.to(device) for part in left)),
        Texts(*(part.to(device) for part in came)),
    )


def _negatives(before: LabelSet, after: LabelSet, rests: Rests | None, vocabulary: Vocabulary) -> tuple[Texts, Texts]:
    """Negatives that left and that came, with how much less or more often each is listed."""
    if rests is not None:
        counts = [torch.bincount(rows, minlength=len(vocabulary.words)) for rows in rests]
        differences = (counts[0] - counts[1]).clamp(min=0), (counts[1] - counts[0]).clamp(min=0)
        left, came = (Texts(vocabulary.features[n > 0], n[n > 0]) for n in differences)
        return left, came

    listed = [Counter(one.negatives or ()) for one in (before, after)]
    adjectives = before.recipe.get("adjectives", {}).get("negatives", ())
    left, came = (_listed(words, adjectives, vocabulary) for words in (listed[0] - listed[1], listed[1] - listed[0]))
    return left, came


def _listed(words: Counter[str], adjectives: Sequence[str] | int, vocabulary: Vocabulary) -> Texts:
    """Texts of listed words; none where there are none."""
    counts = torch.tensor(list(words.values()), dtype=torch.int64)
    if not words:
        return Texts(torch.empty(0, 0), counts)
    marked = adjectives if not isinstance(adjectives, int) else ()
    return Texts(vocabulary.encode(list(words), "negatives", marked), counts)
