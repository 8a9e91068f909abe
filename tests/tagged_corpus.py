"""A corpus of nouns and adjectives, and an encoder whose features follow from the text alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus, Part, Words
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.vocabulary import Vocabulary, build_vocabularies

NOUNS = ("sky", "cat", "orange", "stone", "lamp", "tree", "river", "chair")
ADJECTIVES = ("red", "wide", "grey", "tall")
BY_PART = Prompts(("a {}", "the {}"), "mean-then-normalise", ("{} thing", "a {} one", "{}"))
PLAIN = Prompts(("{}",))


@dataclass(frozen=True)
class Tagged(Corpus):
    """A corpus that tells nouns from adjectives."""

    nouns: tuple[str, ...] = NOUNS
    adjectives: tuple[str, ...] = ADJECTIVES

    def load(self) -> Words:
        parts: tuple[Part, ...] = ("noun",) * len(self.nouns) + ("adj",) * len(self.adjectives)
        return Words("tagged", (*self.nouns, *self.adjectives), "here", parts)


class FakeEncoder:
    name, fingerprint, logit_scale = "fake", "f" * 16, 10.0

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object]) -> Tensor:
        self.encoded += texts
        return torch.stack([vector(text) for text in texts])


def vector(text: str) -> Tensor:
    draw = torch.Generator().manual_seed(sum(at * ord(letter) for at, letter in enumerate(text, 1)))
    return torch.randn(12, generator=draw) * (1 + len(text))


def feature(word: str, part: str, prompts: Prompts = BY_PART) -> Tensor:
    templates = prompts.templates if part == "noun" or prompts.adjectives is None else prompts.adjectives
    sentences = torch.stack([vector(template.replace("{}", word)) for template in templates])
    return unit((unit(sentences) if prompts.order == "normalise-then-mean" else sentences).mean(dim=0)[None])[0]


def fake_bank(encoder: FakeEncoder) -> TextBank:
    """Features of texts under the encoder, cached in the test's folder."""
    return TextBank(cast(Any, encoder), "cache")


def write_names() -> str:
    """A file of names; the first is an adjective to the corpus."""
    Path("names.txt").write_text("grey\ncat\npansy\n")
    return "names.txt"


def single(source: LabelSource, bank: TextBank, corpus: Corpus = Tagged(), prompts: Prompts = BY_PART) -> Vocabulary:
    return build_vocabularies({"": source}, corpus, prompts, bank)[""]
