"""Debiased negative mining's negatives: words where the corpus is dense, whoever the positives are.

Source: Debiased negative mining, KDD 2026, https://arxiv.org/abs/2605.23797, and its code.
Differs: words keep the corpus's order, the code takes that of the file system; a word that is a noun and an adjective
    is what the corpus says, in the code what the first file says. With several templates a word's direction is the
    prompts' own and its length that of the mean sentence, where the code has the mean sentence for both.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Self

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.debiased import log_distances
from ood_lightning.functional.selection import farthest_by_part, shared_out
from ood_lightning.label_sets.initial_positives import NamesSource
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.progress import bar
from ood_lightning.ranges import Count, Share


@dataclass(frozen=True)
class DebiasedNegatives(NamesSource):
    """The true names, and the nouns and the adjectives with the densest surroundings in the corpus.

    Names decide nothing here: other positives get the same negatives. They are not taken out of the corpus, since the
    score (`detectors/debiased.py`) expects ID words among the negatives.

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set (`labels.json` of a fit, or its
            folder), whose positives take the names' place: then nobody names a class. None: names of the run's ID set.
        noun_share: of the nouns that are kept; 0.23 in the code for ViT-B/16 and ViT-L/14, 0.25 for other backbones.
        adjective_share: of the adjectives; 0.13 in the code, 0.08 for ViT-L/14@336.
        neighbours: k; 100 in the code, 10 for ViT-B/32.
    """

    method: ClassVar[str] = "Debiased"

    noun_share: Share = 0.23
    adjective_share: Share = 0.13
    neighbours: Count = 100

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the nouns and the adjectives; a minute and more for a large corpus."""
        initial, words = self.initial(vocabulary, available), vocabulary.words
        is_adjective = torch.tensor([word in words.adjectives for word in words.words])
        counts = self._counts(len(words), int(is_adjective.sum()), words.name)

        distances = _log_distances(_Corpus.of(vocabulary, self.neighbours))
        chosen = farthest_by_part(distances, is_adjective, counts)  # ascending: the densest first

        settings = {"noun_share": self.noun_share, "adjective_share": self.adjective_share}
        recipe = vocabulary.recipe(method=self.method, supervision=["id_names"]) | {
            **settings,
            "neighbours": self.neighbours,
            "negatives": {"nouns": counts[0], "adjectives": counts[1]},
        }
        negatives = tuple(words.words[row] for row in chosen.tolist())
        return initial.with_provenance(LabelSet(initial.positives, negatives, recipe), vocabulary)

    def _counts(self, n_words: int, n_adjectives: int, corpus: str) -> tuple[int, int]:
        """How many nouns and how many adjectives are kept."""
        nouns, _ = shared_out(n_words - n_adjectives, 0, share=self.noun_share)
        _, adjectives = shared_out(0, n_adjectives, share=self.adjective_share)
        if not nouns + adjectives:
            raise LabelSetError(
                f"no negative is left of the {n_words} words of {corpus!r}: give a larger corpus, or a larger "
                f"noun_share than {self.noun_share}"
            )
        return nouns, adjectives


@dataclass(frozen=True)
class _Corpus:
    """Words whose neighbours are counted; two are equal where the counts are."""

    key: tuple[object, ...]
    vocabulary: Vocabulary = field(compare=False)
    neighbours: int = field(compare=False)

    @classmethod
    def of(cls, vocabulary: Vocabulary, neighbours: int) -> Self:
        return cls((*vocabulary.key, vocabulary.bank.encoder.fingerprint, neighbours), vocabulary, neighbours)


@lru_cache(maxsize=1)  # sets of other positives want the same ranking: a minute for 56,620 words on one core
def _log_distances(corpus: _Corpus) -> Tensor:
    words, features = corpus.vocabulary.words, corpus.vocabulary.features
    lengths = corpus.vocabulary.lengths()
    try:
        with bar(len(words), f"neighbours in {words.name}", "word", delay_s=3) as progress_bar:
            return log_distances(features, lengths, corpus.neighbours, on_progress=progress_bar.update)
    except ValueError as error:
        raise LabelSetError(f"negatives of {words.name!r}: {error}") from None
