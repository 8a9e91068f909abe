"""Label sets as the official codes of NegLabel, CSP and OpenOOD-VLM select them, and ClusterMine's control."""

from dataclasses import dataclass
from typing import ClassVar

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.initial_positives import InitialPositives
from ood_lightning.label_sets.negatives import augment, mine_by_part
from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class NegLabelNegatives(LabelSource):
    """The true names, and the nouns and the adjectives of the corpus least similar to them: NegLabel's own selection.

    Source: the official code of Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078. `count: 10000,
        interpolate: false, without_names: true, adjectives_first: true` is that of OpenOOD-VLM (AdaNeg, InterNeg).

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set, whose positives are taken.
        share: of the nouns that are kept, and of the adjectives.
        count: of both together, split as the corpus is, in place of the share.
        quantile: of a word's cosines to the names.
        interpolate: between two cosines, if the quantile falls there; otherwise the one at place `int(quantile * P)`.
        same_cosine: a word with a larger cosine to any name ranks behind all others (CSP); None: no such rule.
        without_names: take words that are names, letter for letter, out first. NegLabel leaves them to the ranking.
        adjectives_first: in the label set, which decides what grouping drops; the corpus has a setting of its own.
    """

    method: ClassVar[str] = "NegLabel, by part of speech"

    names: str
    share: float = 0.15
    count: int | None = None
    quantile: float = 0.95
    interpolate: bool = True
    same_cosine: float | None = None
    without_names: bool = False
    adjectives_first: bool = False

    def known(self, vocabulary: Vocabulary) -> None:
        """Nothing but that its names can be read."""
        InitialPositives.read(self.names, vocabulary)

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the nouns and the adjectives."""
        initial = InitialPositives.read(self.names, vocabulary)
        features, recipe = initial.encode(vocabulary), {"method": self.method, **vocabulary.recipe()}
        options = {name: value for name, value in vars(self).items() if name != "names"}
        return initial.with_provenance(
            mine_by_part(initial.words, features, vocabulary.words, vocabulary.features, recipe, **options), vocabulary
        )


@dataclass(frozen=True)
class CSPNegatives(NegLabelNegatives):
    """The same on CSP's pool, nouns and phrases for adjectives, where near-synonyms of a name are pushed to the end.

    The pool is a corpus: :class:`ood_lightning.corpora.conjugated.Conjugated`. With `without_names` these are the
    candidates that NegRefine's filter begins with.

    Source: the official code of Chen et al., NeurIPS 2024, https://arxiv.org/abs/2410.08611.
    """

    method: ClassVar[str] = "CSP"

    same_cosine: float | None = 0.95


@dataclass(frozen=True)
class AugmentedNames(LabelSource):
    """The true names and the words most similar to them as positives; negatives are the rest of the corpus.

    ClusterMine's control for the number of positives.

    Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068.

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set, whose positives are taken.
        count: words that are added, by their largest cosine to a name.
    """

    names: str
    count: int = 500

    def known(self, vocabulary: Vocabulary) -> None:
        """Nothing but that its names can be read."""
        InitialPositives.read(self.names, vocabulary)

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the corpus."""
        initial = InitialPositives.read(self.names, vocabulary)
        augmented = augment(
            initial.words,
            initial.encode(vocabulary),
            vocabulary.words.words,
            vocabulary.features,
            self.count,
            vocabulary.recipe(),
        )
        return initial.with_provenance(augmented, vocabulary)
