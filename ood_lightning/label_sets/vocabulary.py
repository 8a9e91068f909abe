"""The words that a label set may be made of, with their features; sets under the same words and prompts share them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ood_lightning import __version__

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.corpora.words import Corpus, Part, Words
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.encoders.base import Encoder
    from ood_lightning.label_sets.base import LabelSource


@dataclass(frozen=True)
class Vocabulary:
    """A corpus under prompts and the run's encoder.

    Args:
        words: of the corpus.
        features: of the words, unit-norm, (V, D), on the CPU; (0, 0) where no label set of the run reads the corpus,
            which then is not encoded.
        prompts: templates around each word.
        bank: encodes texts that the corpus does not have.
    """

    words: Words
    features: Tensor
    prompts: Prompts
    bank: TextBank

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for vocabularies of the same words under the same prompts."""
        return self.words.sha256, self.words.adjectives_sha256, self.prompts.fingerprint

    def encoded(self) -> Vocabulary:
        """The same with the features of its words, which are encoded where they are not cached."""
        words = self.words
        return replace(self, features=self.bank.features(words.words, self.prompts, words.name, words.parts))

    def lengths(self) -> Tensor:
        """Lengths (V,) that the features of its words had before they were normalised."""
        words = self.words
        return self.bank.lengths(words.words, self.prompts, words.name, words.parts)

    def encode(self, texts: Sequence[str], what: str, adjectives: Collection[str] = ()) -> Tensor:
        """Features (n, D) of texts: the corpus's rows where it has them, encoded otherwise.

        Args:
            texts: in the order of the rows.
            what: their name on the progress bar.
            adjectives: those that take the templates for adjectives.
        """
        known = self.rows(texts, adjectives)
        marked = self._marked(adjectives)
        missing = [text for text, row in zip(texts, known.tolist(), strict=True) if row < 0]
        if not missing:
            return self.features[known]

        parts: list[Part] | None = ["adj" if text in marked else "noun" for text in missing] if marked else None
        prompts = self.prompts if marked else self.prompts.without_adjectives()
        encoded = self.bank.features(missing, prompts, what, parts)

        features = encoded.new_empty(len(texts), encoded.shape[1])
        features[known < 0] = encoded
        if len(missing) < len(texts):
            features[known >= 0] = self.features[known[known >= 0]]
        return features

    def rows(self, texts: Sequence[str], adjectives: Collection[str] = ()) -> Tensor:
        """Row of the corpus for each text, int64; -1 where it has none whose features serve; see :meth:`encode`."""
        import torch

        in_corpus = self._marked(self.words.adjectives)
        marked = self._marked(adjectives)

        # A row of the corpus serves a text only if both take the same templates.
        row = {word: i for i, word in enumerate(self.words.words)} if len(self.features) else {}
        rows = [row.get(text, -1) if (text in in_corpus) == (text in marked) else -1 for text in texts]
        return torch.tensor(rows, dtype=torch.int64)

    def _marked(self, adjectives: Collection[str]) -> frozenset[str]:
        """Those texts that take templates of their own, as adjectives do where the prompts have some."""
        return frozenset(adjectives if self.prompts.adjectives is not None else ())

    def recipe(self, id_set: Manifest | None = None, **settings: Any) -> dict[str, Any]:
        """What a label set of these words is made from, as plain data.

        Enough to make it again, and nothing that differs between two makings.

        Args:
            id_set: the images that decided, if any did.
            settings: what else decided, such as numbers of clusters and heads and the seed, and `supervision`.
        """
        encoder = self.bank.encoder
        recipe: dict[str, Any] = {
            "corpus": corpus_recipe(self.words, self.prompts),
            "prompts": prompts_recipe(self.prompts),
            "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint},
        }
        if id_set is not None:
            recipe["id_set"] = {"name": id_set.name, "pictures": id_set.n_samples, "fingerprint": id_set.fingerprint}

        packages = {"torch": version("torch"), "open_clip": version("open_clip_torch")}
        return {**recipe, "versions": {"ood_lightning": __version__, **packages}, **settings}

    def with_adjectives(self, label_set: LabelSet, names: int = 0) -> LabelSet:
        """The set, whose recipe then says which of its words take the templates for adjectives.

        It is the same set where the prompts have no such templates. Without, the file alone would not give its scores.

        Args:
            label_set: made of these words, or the true names; a word that the corpus does not have is a noun.
            names: so many positives in front are true names, which are nouns whatever the corpus says.
        """
        if self.prompts.adjectives is None:
            return label_set
        sides = {"positives": label_set.words[names:], "negatives": label_set.negatives or ()}
        marked = {side: [word for word in listed if word in self.words.adjectives] for side, listed in sides.items()}
        return replace(label_set, recipe={**label_set.recipe, "adjectives": marked})


def one_text_each(words: Words, prompts: Prompts, encoder: Encoder) -> Words:
    """The words without those that are an earlier one to the encoder: where it folds case, `Crane` behind `crane`.

    A noun and an adjective are two texts where the prompts have templates for each.
    """
    parts = words.parts if words.parts is not None and prompts.adjectives is not None else ("",) * len(words)
    row_of: dict[tuple[str, str], int] = {}
    for row, (word, part) in enumerate(zip(words.words, parts, strict=True)):
        row_of.setdefault((word.lower(), part), row)
    if len(row_of) == len(words) or not encoder.folds_case:
        return words

    rows, twice = list(row_of.values()), len(words) - len(row_of)
    log.warning("%s: %d words differ from another in case alone, one text to %s", words.name, twice, encoder.name)
    return replace(
        words,
        words=tuple(words.words[row] for row in rows),
        parts=words.parts and tuple(words.parts[row] for row in rows),
        counts=words.counts and tuple(words.counts[row] for row in rows),
    )


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
    if words.supervision:
        corpus["supervision"] = list(words.supervision)
    return corpus


def build_vocabularies(
    sources: Mapping[str, LabelSource], corpus: Corpus, prompts: Prompts, bank: TextBank
) -> dict[str, Vocabulary]:
    """The vocabulary of each label set; sets with the same words and prompts share one.

    A corpus is encoded only if one of its sets reads it.

    Args:
        sources: by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached.
    """
    vocabularies = load_vocabularies(sources, corpus, prompts, bank)
    read = {vocabularies[name].key for name, source in sources.items() if source.reads_corpus}
    shared = {one.key: one for one in vocabularies.values()}
    shared = {key: one.encoded() if key in read else one for key, one in shared.items()}
    return {name: shared[one.key] for name, one in vocabularies.items()}


def load_vocabularies(
    sources: Mapping[str, LabelSource], corpus: Corpus, prompts: Prompts, bank: TextBank
) -> dict[str, Vocabulary]:
    """The same without features: words are read, nothing is encoded."""
    import torch

    loaded: list[tuple[Corpus, Words]] = []  # a corpus need not be hashable
    vocabularies: dict[str, Vocabulary] = {}
    for name, source in sources.items():
        its_corpus, its_prompts = source.corpus_and_prompts(corpus, prompts)
        words = next((words for known, words in loaded if known == its_corpus), None)
        if words is None:
            words = its_corpus.load()
            loaded.append((its_corpus, words))
        words = one_text_each(words, its_prompts, bank.encoder)
        vocabularies[name] = Vocabulary(words, torch.empty(0, 0), its_prompts, bank)
    return vocabularies
