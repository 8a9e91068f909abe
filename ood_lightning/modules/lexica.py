"""The lexica of a run: label sets under the same words and prompts share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus, Words
from ood_lightning.modules.label_sources import LabelSource, Lexicon

if TYPE_CHECKING:
    from ood_lightning.data.features import Features


def lexica(
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    id_train: Features | None = None,
) -> dict[str, Lexicon]:
    """The lexicon of each label set; sets with the same words and prompts share one.

    Args:
        sources: by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached.
        id_train: ID training images, where the run has some.
    """
    found: dict[str, Lexicon] = {}
    read: list[tuple[Corpus, Words]] = []
    shared: dict[tuple[str, str, str], Lexicon] = {}
    for name, source in sources.items():
        own, under = source.terms(corpus, prompts)
        words = next((words for known, words in read if known == own), None)
        if words is None:
            read.append((own, words := own.load()))
        key = (words.sha256, words.adjectives_sha256, under.fingerprint)
        if key not in shared:
            features = bank.features(words.words, under, words.name, words.parts)
            shared[key] = Lexicon(words, features, under, bank, id_train)
        found[name] = shared[key]
    return found
