"""The lexica of a run: label sets under the same words and prompts share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus, Words
from ood_lightning.label_sets.sources import LabelSource, Vocabulary

if TYPE_CHECKING:
    from ood_lightning.data.artifacts.features import Features


def build_vocabularies(
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    id_train: Features | None = None,
) -> dict[str, Vocabulary]:
    """The lexicon of each label set; sets with the same words and prompts share one.

    A corpus is encoded only if one of its sets reads it.

    Args:
        sources: by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached.
        id_train: ID training images, where the run has some.
    """
    import torch

    loaded: list[tuple[Corpus, Words]] = []
    alike: dict[tuple[str, str, str], list[str]] = {}
    terms: dict[str, tuple[Words, Prompts]] = {}
    for name, source in sources.items():
        own, under = source.terms(corpus, prompts)
        words = next((words for known, words in loaded if known == own), None)
        if words is None:
            loaded.append((own, words := own.load()))
        terms[name] = words, under
        alike.setdefault((words.sha256, words.adjectives_sha256, under.fingerprint), []).append(name)
    found: dict[str, Vocabulary] = {}
    for names in alike.values():
        words, under = terms[names[0]]
        features = torch.empty(0, 0)
        if any(sources[name].reads_corpus for name in names):
            features = bank.features(words.words, under, words.name, words.parts)
        found.update(dict.fromkeys(names, Vocabulary(words, features, under, bank, id_train)))
    return {name: found[name] for name in sources}
