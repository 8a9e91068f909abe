"""`texts.safetensors`: the features of all texts that images are compared with, and in its metadata these texts.

Where the negatives are the rest of a corpus, that is the whole corpus, and positives are rows of it; otherwise each
side is a matrix of its own. On loading they become a :class:`Vocabulary` again, so that a label set is made ready in
the one way that there is. A text that a person wrote into `labels.json` is encoded then, and no other.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Part, Words
from ood_lightning.data.artifacts.store import opened, write_store
from ood_lightning.data.artifacts.typed import decode_plain
from ood_lightning.data.artifacts.unit_vectors import not_unit
from ood_lightning.detector_folder.contents import COPY_AGAIN
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import DetectorError
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.vocabulary import Vocabulary

NO_CORPUS = Words("no corpus", ("-",), "a label set that lists both of its sides")


@dataclass(frozen=True)
class _Corpus:
    """The words of a corpus, as :class:`Words` has them."""

    name: str
    words: tuple[str, ...]
    source: str
    parts: tuple[Part, ...] | None = None
    counts: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _Side:
    """The texts of one side, and those of them that take the templates for adjectives."""

    texts: tuple[str, ...]
    adjectives: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stored:
    """All texts of a file; a side that consists of rows of the corpus is not listed."""

    sides: dict[str, _Side]
    corpus: _Corpus | None = None


@dataclass(frozen=True)
class FolderTexts(TextBank):
    """Text features that lie in a detector folder; other texts are encoded and kept nowhere.

    Args:
        encoder: of the folder.
        cache_dir: not used.
        device: not used.
        sides: texts with their features (n, D).
    """

    sides: Sequence[tuple[_Side, Tensor]] = field(default=())

    @cached_property
    def logit_scale(self) -> float:
        """Of the encoder: nothing is written where a detector is used."""
        return self.encoder.logit_scale

    def features(
        self, words: Sequence[str], prompts: Prompts, what: str = "words", parts: Sequence[Part] | None = None
    ) -> Tensor:
        """See :class:`TextBank`."""
        kinds = [(word, part == "adj") for word, part in zip(words, parts or ["noun"] * len(words), strict=True)]
        for side, features in self.sides:
            if kinds == _kinds(side):  # one by one, a text that comes twice would get the bits of its first row
                return features

        rows = {kind: features[row] for side, features in reversed(self.sides) for row, kind in enumerate(_kinds(side))}
        if new := list(dict.fromkeys(kind for kind in kinds if kind not in rows)):
            texts = [text for text, _ in new]
            new_parts: list[Part] = ["adj" if is_adjective else "noun" for _, is_adjective in new]
            rows |= dict(zip(new, self.encode(texts, prompts, parts=new_parts), strict=True))
        return torch.stack([rows[kind] for kind in kinds])


def _kinds(side: _Side) -> list[tuple[str, bool]]:
    adjectives = frozenset(side.adjectives)
    return [(text, text in adjectives) for text in side.texts]


def write_texts(file: Path, made: MadeLabelSet) -> None:
    """Store all texts of a label set with their features.

    Args:
        file: `texts.safetensors`.
        made: the label set; what is not cached is encoded.
    """
    label_set, vocabulary = made.label_set, made.vocabulary
    has_corpus = label_set.negatives is None
    listed: dict[str, Sequence[str]] = {"positives": label_set.words, "negatives": label_set.negatives or ()}
    tensors: dict[str, Tensor] = {"corpus": vocabulary.features} if has_corpus else {}
    sides: dict[str, _Side] = {}

    for name, texts in listed.items():
        adjectives = _adjectives(made, name)
        if not texts or (has_corpus and bool((vocabulary.rows(texts, adjectives) >= 0).all())):
            continue
        tensors[name] = vocabulary.encode(texts, name, adjectives)
        sides[name] = _Side(tuple(texts), tuple(adjectives) if vocabulary.prompts.adjectives is not None else ())

    words = vocabulary.words
    corpus = _Corpus(words.name, words.words, words.source, words.parts, words.counts) if has_corpus else None
    stored = asdict(_Stored(sides, corpus))
    write_store(file, tensors, {**_provenance(vocabulary.bank.encoder, vocabulary.prompts), "texts": stored})


def read_texts(file: Path, encoder: Encoder, prompts: Prompts) -> Vocabulary:
    """The corpus of a label set with its features, and a bank that knows its other texts.

    Args:
        file: `texts.safetensors`.
        encoder: of the folder; loaded before a text is encoded.
        prompts: of the folder.

    Raises:
        DetectorError: the file is damaged, or of another encoder or other prompts.
    """
    with opened(file, _provenance(encoder, prompts), COPY_AGAIN, DetectorError) as store:
        stored = decode_plain(store.provenance.get("texts"), _Stored, f"{file}, texts", DetectorError)
        sizes = {name: len(side.texts) for name, side in stored.sides.items()}
        if stored.corpus is not None:
            sizes["corpus"] = len(stored.corpus.words)
        tensors = {name: store.tensor(name, (n, None), torch.float32) for name, n in sizes.items()}

    for name, features in tensors.items():
        if wrong := not_unit(features):
            raise DetectorError(f"{file}: row {wrong.row} of {name} is {wrong.length}: {COPY_AGAIN}")

    sides = [(side, tensors[name]) for name, side in stored.sides.items()]
    corpus = NO_CORPUS if stored.corpus is None else Words(**vars(stored.corpus))
    bank = FolderTexts(encoder, "", sides=sides)
    return Vocabulary(corpus, tensors.get("corpus", torch.empty(0, 0)), prompts, bank)


def _adjectives(made: MadeLabelSet, side: str) -> Collection[str]:
    """Texts of a side that take the templates for adjectives, as the recipe says."""
    marked = made.label_set.recipe.get("adjectives", {}).get(side, ())
    return marked if isinstance(marked, list | tuple) else ()  # InterNeg's recipe has a number there


def _provenance(encoder: Encoder, prompts: Prompts) -> dict[str, str]:
    return {"encoder": encoder.fingerprint, "prompts": prompts.fingerprint}
