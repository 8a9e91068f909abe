"""What a label set was made from, as plain data: enough to make it again, nothing that differs between two makings."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ood_lightning import __version__

if TYPE_CHECKING:
    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.words import Words
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.encoders.base import Encoder


def prompts_recipe(prompts: Prompts) -> dict[str, Any]:
    """Templates and order as plain data."""
    templates: dict[str, Any] = {"templates": list(prompts.templates), "order": prompts.order}
    if prompts.adjectives is not None:
        templates["adjectives"] = list(prompts.adjectives)
    return templates


def corpus_recipe(words: Words, prompts: Prompts) -> dict[str, Any]:
    """The corpus as plain data; its parts of speech only where they decide which templates a word takes.

    `entries` is the corpus's size where some word stands in it more than once.
    """
    corpus: dict[str, Any] = {"name": words.name, "words": len(words), "sha256": words.sha256}
    if words.counts is not None:
        corpus["entries"] = sum(words.counts)
    if prompts.adjectives is not None:
        corpus["adjectives_sha256"] = words.adjectives_sha256
    return corpus


def with_adjectives(labels: LabelSet, words: Words, prompts: Prompts, *, names: int = 0) -> LabelSet:
    """The label set, saying in its recipe which of its words take the templates for adjectives.

    It is the same set where the prompts have no such templates. Scores could not be had from the file alone without.

    Args:
        labels: mined from `words`, or the true names.
        words: the corpus; a word that it does not have is a noun.
        prompts: templates around each word.
        names: so many positives in front are true names, nouns whatever the corpus says.
    """
    if prompts.adjectives is None:
        return labels
    known = words.adjectives
    sides = {"positives": labels.words[names:], "negatives": labels.negatives or ()}
    marked = {side: [word for word in listed if word in known] for side, listed in sides.items()}
    return replace(labels, recipe={**labels.recipe, "adjectives": marked})


def base_recipe(
    words: Words, prompts: Prompts, encoder: Encoder, id_set: Manifest | None = None, **settings: Any
) -> dict[str, Any]:
    """Plain data for :class:`ood_lightning.data.artifacts.label_set.LabelSet`.

    Args:
        words: the corpus.
        prompts: templates around each word.
        encoder: whose features decided.
        id_set: the pictures that voted, if any did.
        settings: whatever else decides the result, such as numbers of clusters and heads and the seed.
    """
    recipe: dict[str, Any] = {
        "corpus": corpus_recipe(words, prompts),
        "prompts": prompts_recipe(prompts),
        "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint},
    }
    if id_set is not None:
        recipe["id_set"] = {"name": id_set.name, "pictures": id_set.n_samples, "fingerprint": id_set.fingerprint}
    recipe["versions"] = {
        "ood_lightning": __version__,
        "torch": version("torch"),
        "open_clip": version("open_clip_torch"),
    }
    return recipe | settings
