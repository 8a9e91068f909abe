"""What a label set was made from, as plain data: enough to make it again, nothing that differs between two makings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.words import Words


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
