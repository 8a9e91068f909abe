"""What a label set was made from, as plain data: enough to make it again, nothing that differs between two makings."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ood_lightning import __version__

if TYPE_CHECKING:
    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.words import Words
    from ood_lightning.data.manifest import Manifest
    from ood_lightning.encoders.base import Encoder


def prompts_recipe(prompts: Prompts) -> dict[str, Any]:
    """Templates and order as plain data."""
    return {"templates": list(prompts.templates), "order": prompts.order}


def recipe(
    words: Words, prompts: Prompts, encoder: Encoder, id_set: Manifest | None = None, **settings: Any
) -> dict[str, Any]:
    """Plain data for :class:`ood_lightning.data.labels.LabelSet`.

    Args:
        words: the corpus.
        prompts: templates around each word.
        encoder: whose features decided.
        id_set: the pictures that voted, if any did.
        settings: whatever else decides the result, such as numbers of clusters and heads and the seed.
    """
    about: dict[str, Any] = {
        "corpus": {"name": words.name, "words": len(words), "sha256": words.sha256},
        "prompts": prompts_recipe(prompts),
        "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint},
    }
    if id_set is not None:
        about["id_set"] = {"name": id_set.name, "pictures": id_set.n_samples, "fingerprint": id_set.fingerprint}
    about["versions"] = {
        "ood_lightning": __version__,
        "torch": version("torch"),
        "open_clip": version("open_clip_torch"),
    }
    return about | settings
