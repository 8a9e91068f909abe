"""The words that a label set may be made of, with their features; sets under the same words and prompts share them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_lightning.label_sets.recipe import base_recipe, with_adjectives

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.corpora.words import Corpus, Part, Words
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.data.shards.manifest import Manifest
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
        return _key(self.words, self.prompts)

    def encode(self, texts: Sequence[str], what: str, adjectives: Collection[str] = ()) -> Tensor:
        """Features (n, D) of texts: the corpus's rows where it has them, encoded otherwise.

        Args:
            texts: in the order of the rows.
            what: their name on the progress bar.
            adjectives: those that take the templates for adjectives.
        """
        import torch

        by_part = self.prompts.adjectives is not None
        in_corpus = self.words.adjectives if by_part else frozenset()
        marked = frozenset(adjectives) if by_part else frozenset()

        # A row of the corpus serves a text only if both take the same templates.
        row = {word: i for i, word in enumerate(self.words.words)} if len(self.features) else {}
        rows = [row.get(text, -1) if (text in in_corpus) == (text in marked) else -1 for text in texts]
        known = torch.tensor(rows, dtype=torch.int64)
        missing = [text for text, at in zip(texts, rows, strict=True) if at < 0]
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

    def recipe(self, id_set: Manifest | None = None, **settings: Any) -> dict[str, Any]:
        """What a label set of these words is made from, as plain data.

        Args:
            id_set: the images that decided, if any did.
            settings: what else decided, and `supervision`.
        """
        return base_recipe(self.words, self.prompts, self.bank.encoder, id_set, **settings)

    def with_adjectives(self, label_set: LabelSet, names: int = 0) -> LabelSet:
        """The set, whose recipe then says which of its words take the templates for adjectives.

        Args:
            label_set: made of these words.
            names: so many positives in front are true names, which are nouns whatever the corpus says.
        """
        return with_adjectives(label_set, self.words, self.prompts, names=names)


def vocabulary_of(corpus: Corpus, prompts: Prompts, bank: TextBank) -> Vocabulary:
    """The words of a corpus with their features, which are encoded where they are not cached."""
    words = corpus.load()
    return Vocabulary(words, _features(words, prompts, bank, read=True), prompts, bank)


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
    loaded: list[tuple[Corpus, Words]] = []  # a corpus need not be hashable
    groups: dict[tuple[str, str, str], list[str]] = {}
    chosen: dict[str, tuple[Words, Prompts]] = {}

    for name, source in sources.items():
        its_corpus, its_prompts = source.corpus_and_prompts(corpus, prompts)
        words = next((words for known, words in loaded if known == its_corpus), None)
        if words is None:
            words = its_corpus.load()
            loaded.append((its_corpus, words))
        chosen[name] = words, its_prompts
        groups.setdefault(_key(words, its_prompts), []).append(name)

    vocabularies: dict[str, Vocabulary] = {}
    for names in groups.values():
        words, its_prompts = chosen[names[0]]
        read = any(sources[name].reads_corpus for name in names)
        vocabulary = Vocabulary(words, _features(words, its_prompts, bank, read=read), its_prompts, bank)
        vocabularies.update(dict.fromkeys(names, vocabulary))
    return {name: vocabularies[name] for name in sources}


def _key(words: Words, prompts: Prompts) -> tuple[str, str, str]:
    return words.sha256, words.adjectives_sha256, prompts.fingerprint


def _features(words: Words, prompts: Prompts, bank: TextBank, *, read: bool) -> Tensor:
    import torch

    if not read:
        return torch.empty(0, 0)
    return bank.features(words.words, prompts, words.name, words.parts)
