"""Where the label sets of a run come from: a file, true names, or true names with mined negatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.class_names import read_names
from ood_lightning.errors import LabelSetError, SettingsError
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.initial_positives import NamesSource
from ood_lightning.label_sets.vocabulary import corpus_recipe, prompts_recipe
from ood_lightning.places import locate
from ood_lightning.ranges import Count, CountOrZero, Range
from ood_lightning.spelling import folded

if TYPE_CHECKING:
    from ood_lightning.detectors.evidence import Input, Inputs
    from ood_lightning.functional.intermodal import ClassBounds
    from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class Stored(LabelSource):
    """A label set on disk, mined or written by hand.

    Args:
        path: `labels.json`, or the folder of the run that wrote it.
    """

    path: str

    @property
    def reads_corpus(self) -> bool:
        """Where its negatives are the rest of the corpus."""
        return LabelSet.read(locate(self.path)).negatives is None

    def given_names(self, available: Inputs) -> list[str] | None:
        """Its positives, where true names are among them."""
        label_set = LabelSet.read(locate(self.path))
        return label_set.words if "id_names" in label_set.supervision else None

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Read it."""
        return self.known(vocabulary, available)

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """The set, unless this run's encoder, corpus or prompts did not make it."""
        label_set = LabelSet.read(locate(self.path))
        encoder = vocabulary.bank.encoder
        label_set.check_encoder(encoder.fingerprint, encoder.name)
        self._check_recipe(label_set, vocabulary)
        return label_set

    def _check_recipe(self, label_set: LabelSet, vocabulary: Vocabulary) -> None:
        """Refuse another corpus than the one whose other words are the negatives, and other prompts."""
        made_with, words = label_set.recipe.get("corpus", {}), vocabulary.words
        hashes = {key: value for key, value in corpus_recipe(words, vocabulary.prompts).items() if "sha256" in key}
        if label_set.negatives is None and any(made_with.get(key) != value for key, value in hashes.items()):
            raise LabelSetError(
                f"{self.path}: its negatives are the rest of corpus {made_with.get('name')!r} "
                f"({made_with.get('words')} words), the run uses {words.name!r} ({len(words)} words). Name one corpus "
                f"in both, or give this set its own: ood_lightning.label_sets.sources.WithCorpus."
            )

        made_with, current = label_set.recipe.get("prompts"), prompts_recipe(vocabulary.prompts)
        if not made_with or made_with == current:
            return

        key = next(key for key in ("templates", "order", "adjectives") if made_with.get(key) != current.get(key))
        there, here = (_beginning(prompts.get(key)) for prompts in (made_with, current))
        raise LabelSetError(
            f"{self.path} was made with the prompts' {key} {there}, the run uses {here}: scores would differ in "
            f"silence. Name the same prompts in both, or give this set its own: "
            f"ood_lightning.label_sets.sources.WithCorpus."
        )


def _beginning(value: Any) -> Any:
    """The first two of many templates."""
    return value[:2] if isinstance(value, list) else value


def as_source(label_set: LabelSource | str) -> LabelSource:
    """A path stands for a label set on disk."""
    return Stored(label_set) if isinstance(label_set, str) else label_set


@dataclass(frozen=True)
class OfSource(LabelSource):
    """A label set that another source makes or reads, changed by a subclass; what is not changed is the source's.

    Args:
        source: what makes or reads the set; a path stands for a label set on disk.
    """

    source: LabelSource | str

    def corpus_and_prompts(self, corpus: Corpus, prompts: Prompts) -> tuple[Corpus, Prompts]:
        """The source's."""
        return self._source.corpus_and_prompts(corpus, prompts)

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """The source's."""
        return self._source.required_inputs

    @property
    def reads_corpus(self) -> bool:
        """As its source."""
        return self._source.reads_corpus

    def given_names(self, available: Inputs) -> list[str] | None:
        """The source's."""
        return self._source.given_names(available)

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet | None:
        """As its source."""
        return self._source.known(vocabulary, available)

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """What the source makes."""
        return self._source.make(vocabulary, available)

    def class_bounds(self, vocabulary: Vocabulary, available: Inputs) -> ClassBounds | None:
        """The source's, if it measures them."""
        return self._source.class_bounds(vocabulary, available)

    @property
    def _source(self) -> LabelSource:
        return as_source(self.source)


@dataclass(frozen=True)
class WithCorpus(OfSource):
    """A label set under a corpus and prompts of its own, beside others under the run's.

    Args:
        source: what makes or reads the set; a path stands for a label set on disk.
        corpus: in place of the run's; None: the run's.
        prompts: in place of the run's; None: the run's.
    """

    corpus: Corpus | None = None
    prompts: Prompts | None = None

    def corpus_and_prompts(self, corpus: Corpus, prompts: Prompts) -> tuple[Corpus, Prompts]:
        """The corpus and the prompts of this set, the run's where it has none."""
        return super().corpus_and_prompts(self.corpus or corpus, self.prompts or prompts)


@dataclass(frozen=True)
class IDNames(NamesSource):
    """The true names, without negatives.

    Args:
        names: a set with a manifest, or a text file with one name a line; None: those of the run's ID set.
    """

    reads_corpus: ClassVar[bool] = False

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Read them."""
        return self.known(vocabulary, available)

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Names in class order; duplicates are kept, as in published evaluations."""
        names = tuple(Positive(name) for name in self.true_names(available))
        return LabelSet(names, (), vocabulary.recipe(supervision=["id_names"], method="names"))


@dataclass(frozen=True)
class CandidateNames(IDNames):
    """The true ID names, and names of the OOD classes themselves as negatives: an upper bound that knows the answer.

    Source: Fort et al., NeurIPS 2021, https://arxiv.org/abs/2106.03004.

    Args:
        names: a set with a manifest, or a text file with one name a line; None: those of the run's ID set.
        ood_names: the same for OOD sets, at least one; names that are ID names too are left out, repeated ones count
            once.
    """

    ood_names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.ood_names:
            raise SettingsError("ood_names is empty: give the names of at least one OOD set")

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """ID names in class order, OOD names in the order of their sets."""
        names = self.true_names(available)
        taken = {folded(name) for name in names}
        candidates = dict.fromkeys(name for source in self.ood_names for name in read_names(source))
        negatives = tuple(name for name in candidates if folded(name) not in taken)
        if not negatives:
            raise LabelSetError(f"{', '.join(self.ood_names)}: every candidate is an ID name, so no negative is left")

        recipe = vocabulary.recipe(supervision=["id_names", "ood_names"], method="candidate names")
        return LabelSet(tuple(Positive(name) for name in names), negatives, recipe)


@dataclass(frozen=True)
class MinedNegatives(NamesSource):
    """The true names and the words of the corpus least similar to them, in one ranking (NegLabel* of ClusterMine).

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set (`labels.json` of a fit, or its
            folder), whose positives take the names' place: then nobody names a class. None: names of the run's ID set.
        count: K; 10,000 in NegLabel, 40,000 in ClusterMine's NegLabel*; None: all words that are no positive.
        quantile: of a word's cosines to the names.
    """

    count: Count | None = 10_000
    quantile: Annotated[float, Range(0, 1, True)] = 0.95

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the corpus."""
        from ood_lightning.label_sets.negatives import (
            mine_negatives,  # brings torch, which `filter --help` does without
        )

        initial = self.initial(vocabulary, available)
        mined = mine_negatives(
            initial.words,
            initial.encode(vocabulary),
            vocabulary.words.words,
            vocabulary.features,
            self.count,
            vocabulary.recipe(),
            self.quantile,
        )
        return initial.with_provenance(mined, vocabulary)


@dataclass(frozen=True)
class CLIPScopeNegatives(NamesSource):
    """The true names and the words of the corpus least and most like them (CLIPScope).

    Differs: one set of prompts for both ends, where the code says `a photo of a {}` for the farthest words and `a photo
    of {}` for the nearest; ID names are taken out of the corpus first.

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set (`labels.json` of a fit, or its
            folder), whose positives take the names' place: then nobody names a class. None: names of the run's ID set.
        farthest: words least like the names.
        nearest: words most like them.
        share: of the names that a word is compared with at its k-th largest cosine; 50 of 1,000 in the code.
        mining_prompts: around the words while they are ranked, `the {}` in the code; None: the prompts of scoring.
    """

    farthest: CountOrZero = 5000
    nearest: CountOrZero = 5000
    share: Annotated[float, Range(0, 1, True)] = 0.05
    mining_prompts: Prompts | None = None

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Rank the corpus, keep both ends."""
        from ood_lightning.label_sets.negatives import mine_both_ends

        words, recipe, ranked = vocabulary.words, vocabulary.recipe(), vocabulary.features
        if self.mining_prompts is not None:
            ranked = vocabulary.bank.features(words.words, self.mining_prompts, words.name, words.parts)
            recipe["mining_prompts"] = prompts_recipe(self.mining_prompts)

        initial = self.initial(vocabulary, available)
        mined = mine_both_ends(
            initial.words,
            initial.encode(vocabulary),
            words.words,
            ranked,
            self.farthest,
            self.nearest,
            recipe,
            share=self.share,
        )
        return initial.with_provenance(mined, vocabulary)
