"""Prompt templates, and how the features of several of them become one per word.

The sets that code refers to are here; all published ones are `configs/prompts/*.yaml`.

Source: ClusterMine's prompt ablation, https://arxiv.org/abs/2511.07068, with the templates as open_clip spells them.
Differs: the paper prints Simple-7 with 'an origami' and without full stops; CLIP's notebook and open_clip do not.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self, get_args

from ood_lightning.corpora.words import Part
from ood_lightning.errors import CorpusError

if TYPE_CHECKING:  # prompts are read where torch is not wanted: jsonargparse would bring it in to resolve annotations
    from torch import Tensor

Order = Literal["normalise-then-mean", "mean-then-normalise"]

BARE = ("{}",)
SIMPLE_7 = (  # open_clip's SIMPLE_IMAGENET_TEMPLATES, in its order
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
OPENAI_80 = (  # open_clip's OPENAI_IMAGENET_TEMPLATES, in its order
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
)


@dataclass(frozen=True)
class Prompts:
    """The sentences that stand for a word.

    Args:
        templates: each with exactly one ``{}``, where the word goes.
        order: whether each sentence's feature is brought to length 1 before the mean (open_clip, PLP) or only the mean
            is (CSP, NegRefine). With one template it makes no difference.
        adjectives: templates for words that the corpus marks as adjectives; None: `templates` for every word. ID names
            take `templates`, whatever the corpus says of them.

    Raises:
        CorpusError: if there is no template, one has not exactly one ``{}``, or the order is another word.
    """

    templates: tuple[str, ...] = SIMPLE_7
    order: Order = "normalise-then-mean"
    adjectives: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "templates", _sound(self.templates, "templates", "prompt template"))
        if self.adjectives is not None:
            object.__setattr__(self, "adjectives", _sound(self.adjectives, "adjectives", "adjectives' template"))
        if self.order not in get_args(Order):
            raise CorpusError(f"prompt order {self.order!r}: expected one of {', '.join(get_args(Order))}")

    def of(self, part: Part) -> tuple[str, ...]:
        """Templates for words of a part of speech."""
        return self.adjectives if part == "adj" and self.adjectives is not None else self.templates

    def fill(self, word: str, part: Part = "noun") -> list[str]:
        """The word in every template, J sentences in the templates' order. Braces in the word stay as they are."""
        return [template.replace("{}", word) for template in self.of(part)]

    def without_adjectives(self) -> Self:
        """The same for words that are all nouns, so that their features are stored under one name."""
        return replace(self, adjectives=None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of order and templates; part of the name under which text features are stored."""
        content: list[object] = [self.order, *self.templates]
        if self.adjectives is not None:
            content.append({"adjectives": self.adjectives})
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _sound(templates: tuple[str, ...], field: str, what: str) -> tuple[str, ...]:
    """The templates as a tuple, each with one slot for the word."""
    if isinstance(templates, str):
        raise CorpusError(f"{field} is the text {templates!r}; a list is expected: {field}: [...]")

    templates = tuple(templates)  # a list from YAML would not hash
    if not templates:
        raise CorpusError(f"no prompt {field}: give at least one; '{{}}' alone is the bare word")

    for row, template in enumerate(templates):
        if (n_slots := template.count("{}")) != 1:
            raise CorpusError(
                f"{what} {row}, {template!r}, has {n_slots} slots '{{}}' and must have exactly one, "
                f"where the word goes: 'a photo of a {{}}.'"
            )
    return templates


def ensemble(features: "Tensor", order: Order) -> "Tensor":
    """One unit vector per word from those of its sentences. Logits are never averaged.

    Args:
        features: as the text tower gives them, of any length but zero, shape ``(W, J, D)``.
        order: see :class:`Prompts`.

    Returns:
        Unit vectors, shape ``(W, D)``; float32, or float64 for float64, since a mean of halves loses bits. NaN where
        the features cancel or are zero.
    """
    features = features.double() if features.itemsize == 8 else features.float()
    if order == "normalise-then-mean":
        features = _unit(features)
    return _unit(features.mean(dim=1))  # (W, J, D) -> (W, D)


def mean_lengths(features: "Tensor") -> "Tensor":
    """Length of each word's mean sentence before anything is normalised, whatever the order of the prompts.

    Args:
        features: as of :func:`ensemble`, shape ``(W, J, D)``.

    Returns:
        float32, shape ``(W,)``.
    """
    lengths: Tensor = features.float().mean(dim=1).norm(dim=-1)
    return lengths


def _unit(vectors: "Tensor") -> "Tensor":
    lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths
