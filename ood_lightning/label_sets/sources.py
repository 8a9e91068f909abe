"""Where the label sets of a run come from: a file, true names, or given positives with mined negatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus, Part, Words
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.class_names import read_names
from ood_lightning.errors import LabelSetError
from ood_lightning.label_sets.initial_positives import InitialPositives
from ood_lightning.label_sets.recipe import corpus_recipe, prompts_recipe, recipe
from ood_lightning.places import locate

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.data.artifacts.features import Features
    from ood_lightning.detectors.evidence import Input
    from ood_lightning.functional.intermodal import ClassBounds


class Vocabulary(NamedTuple):
    """A corpus under prompts.

    Attributes:
        words: of the corpus.
        features: theirs, (V, D); (0, 0) where no label set of the run reads the corpus, which then is not encoded.
        prompts: templates around each word.
        bank: encodes what the corpus does not have.
        id_train: ID training images, where the run has some.
    """

    words: Words
    features: Tensor
    prompts: Prompts
    bank: TextBank
    id_train: Features | None = None

    def encode(self, texts: Sequence[str], what: str, adjectives: Collection[str] = ()) -> Tensor:
        """Features (n, D) of texts: the corpus's own rows where it has them, encoded otherwise.

        Args:
            texts: in the order of the rows.
            what: their name on the progress bar.
            adjectives: those that take the templates for adjectives.
        """
        import torch

        own = self.words.adjectives if self.prompts.adjectives is not None else frozenset()
        marked = frozenset(adjectives) if self.prompts.adjectives is not None else frozenset()
        row = {word: i for i, word in enumerate(self.words.words)} if len(self.features) else {}
        known = torch.tensor([row.get(text, -1) if (text in own) == (text in marked) else -1 for text in texts])
        missing = [text for text, at in zip(texts, known.tolist(), strict=True) if at < 0]
        if not missing:
            return self.features[known]
        parts: list[Part] | None = ["adj" if text in marked else "noun" for text in missing] if marked else None
        prompts = self.prompts if marked else self.prompts.without_adjectives()
        encoded = self.bank.features(missing, prompts, what, parts)
        found = encoded.new_empty(len(texts), encoded.shape[1])
        found[known < 0] = encoded
        if len(missing) < len(texts):
            found[known >= 0] = self.features[known[known >= 0]]
        return found


class LabelSource(ABC):
    """Something that yields a label set."""

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Kinds of input that it cannot do without; where the run lacks one, the set is not made."""
        return frozenset()

    @property
    def reads_corpus(self) -> bool:
        """Whether it takes words of the corpus; if no set of a run does, the corpus is not encoded."""
        return True

    def terms(self, corpus: Corpus, prompts: Prompts) -> tuple[Corpus, Prompts]:
        """Corpus and prompts of this set; the run's own, which are given, unless it is :class:`WithCorpus` others."""
        return corpus, prompts

    @abstractmethod
    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """The set, under the run's encoder and the corpus and prompts of :meth:`terms`."""

    def class_bounds(self, vocabulary: Vocabulary) -> ClassBounds | None:
        """How like their images the names are, on the CPU; None where this source looks at no images."""
        return None


@dataclass(frozen=True)
class Stored(LabelSource):
    """A label set on disk, mined or written by hand.

    Args:
        path: `labels.json`.
    """

    path: str

    @property
    def reads_corpus(self) -> bool:
        """Where its negatives are the rest of the corpus."""
        return LabelSet.read(locate(self.path)).negatives is None

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """Read it, and refuse one that this run's encoder or corpus did not make."""
        found = LabelSet.read(locate(self.path))
        encoder = vocabulary.bank.encoder
        found.check_encoder(encoder.fingerprint, encoder.name)
        corpus, own = found.recipe.get("corpus", {}), corpus_recipe(vocabulary.words, vocabulary.prompts)
        decisive = [key for key in own if key.endswith("sha256")]
        if found.negatives is None and any(corpus.get(key) != own[key] for key in decisive):
            raise LabelSetError(
                f"{self.path}: its negatives are the rest of corpus {corpus.get('name')!r} ({corpus.get('words')} "
                f"words), the run uses {vocabulary.words.name!r} ({len(vocabulary.words)} words). Name one corpus "
                f"in both, or give this set its own: ood_lightning.label_sets.sources.WithCorpus."
            )
        made_with, prompts = found.recipe.get("prompts"), prompts_recipe(vocabulary.prompts)
        if made_with and made_with != prompts:
            key = next(key for key in ("templates", "order", "adjectives") if made_with.get(key) != prompts.get(key))
            there, here = (p[key][:2] if isinstance(p.get(key), list) else p.get(key) for p in (made_with, prompts))
            raise LabelSetError(
                f"{self.path} was made with the prompts' {key} {there}, the run uses {here}: scores would differ in "
                f"silence. Name the same prompts in both, or give this set its own: "
                f"ood_lightning.label_sets.sources.WithCorpus."
            )
        return found


@dataclass(frozen=True)
class WithCorpus(LabelSource):
    """A label set under a corpus and prompts of its own, beside others under the run's.

    Args:
        source: what makes or reads the set; a path stands for a label set on disk.
        corpus: in place of the run's; None: the run's.
        prompts: in place of the run's; None: the run's.
    """

    source: LabelSource | str
    corpus: Corpus | None = None
    prompts: Prompts | None = None

    def terms(self, corpus: Corpus, prompts: Prompts) -> tuple[Corpus, Prompts]:
        """The ones given here."""
        return self._source.terms(self.corpus or corpus, self.prompts or prompts)

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """The source's."""
        return self._source.required_inputs

    @property
    def reads_corpus(self) -> bool:
        """As its source."""
        return self._source.reads_corpus

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """What the source makes of them."""
        return self._source.label_set(vocabulary)

    def class_bounds(self, vocabulary: Vocabulary) -> ClassBounds | None:
        """The source's, if it draws one."""
        return self._source.class_bounds(vocabulary)

    @property
    def _source(self) -> LabelSource:
        return Stored(self.source) if isinstance(self.source, str) else self.source


@dataclass(frozen=True)
class IDNames(LabelSource):
    """The true names, without negatives.

    Args:
        names: a set with a manifest, or a text file with one name a line.
    """

    names: str

    @property
    def reads_corpus(self) -> bool:
        """No: names are all it takes."""
        return False

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """Names in class order; duplicates are kept, as in published evaluations."""
        about = recipe(
            vocabulary.words, vocabulary.prompts, vocabulary.bank.encoder, supervision=["id_names"], method="names"
        )
        return LabelSet(tuple(Positive(name) for name in read_names(self.names)), (), about)


@dataclass(frozen=True)
class CandidateNames(LabelSource):
    """The true ID names, and names of the OOD classes themselves as negatives: an upper bound that knows the answer.

    Source: Fort et al., NeurIPS 2021, https://arxiv.org/abs/2106.03004.

    Args:
        names: a set with a manifest, or a text file with one name a line.
        ood_names: the same for OOD sets; names that are ID names too are left out, repeated ones count once.
    """

    names: str
    ood_names: list[str]

    @property
    def reads_corpus(self) -> bool:
        """No: names are all it takes."""
        return False

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """ID names in class order, OOD names in the order of their sets."""
        names = read_names(self.names)
        taken = {name.lower() for name in names}
        candidates = dict.fromkeys(name for source in self.ood_names for name in read_names(source))
        negatives = tuple(name for name in candidates if name.lower() not in taken)
        if not negatives:
            raise LabelSetError(f"{', '.join(self.ood_names)}: every candidate is an ID name, so no negative is left")
        given = ["id_names", "ood_names"]
        about = recipe(
            vocabulary.words, vocabulary.prompts, vocabulary.bank.encoder, supervision=given, method="candidate names"
        )
        return LabelSet(tuple(Positive(name) for name in names), negatives, about)


@dataclass(frozen=True)
class MinedNegatives(LabelSource):
    """The true names and the words of the corpus least similar to them, in one ranking (NegLabel* of ClusterMine).

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set (`labels.json` of a fit), whose
            positives take the names' place: then nobody names a class.
        count: K; 10,000 in NegLabel, 40,000 in ClusterMine's NegLabel*.
        quantile: of a word's cosines to the names.
    """

    names: str
    count: int = 10_000
    quantile: float = 0.95

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """Rank the corpus."""
        from ood_lightning.label_sets.negatives import (
            mine_negatives,  # brings torch, which `filter --help` does without
        )

        given, words = InitialPositives.read(self.names, vocabulary), vocabulary.words.words
        about = recipe(vocabulary.words, vocabulary.prompts, vocabulary.bank.encoder)
        features = given.encode(vocabulary)
        mined = mine_negatives(given.words, features, words, vocabulary.features, self.count, about, self.quantile)
        return given.told(mined, vocabulary)


@dataclass(frozen=True)
class CLIPScopeNegatives(LabelSource):
    """The true names and the words of the corpus least and most like them (CLIPScope).

    Differs: one set of prompts for both ends, where the code says `a photo of a {}` for the farthest words and `a photo
    of {}` for the nearest; ID names are taken out of the corpus first.

    Args:
        names: a set with a manifest, a text file with one name a line, or a label set (`labels.json` of a fit), whose
            positives take the names' place: then nobody names a class.
        farthest: words least like the names.
        nearest: words most like them.
        share: of the names that a word is compared with at its k-th largest cosine; 50 of 1,000 in the code.
        mining_prompts: around the words while they are ranked, `the {}` in the code; None: the prompts of scoring.
    """

    names: str
    farthest: int = 5000
    nearest: int = 5000
    share: float = 0.05
    mining_prompts: Prompts | None = None

    def label_set(self, vocabulary: Vocabulary) -> LabelSet:
        """Rank the corpus, keep both ends."""
        from ood_lightning.label_sets.negatives import mine_both_ends

        given, words, ends = (
            InitialPositives.read(self.names, vocabulary),
            vocabulary.words,
            (self.farthest, self.nearest),
        )
        about, ranked = recipe(words, vocabulary.prompts, vocabulary.bank.encoder), vocabulary.features
        if self.mining_prompts is not None:
            ranked = vocabulary.bank.features(words.words, self.mining_prompts, words.name, words.parts)
            about["mining_prompts"] = prompts_recipe(self.mining_prompts)
        features = given.encode(vocabulary)
        mined = mine_both_ends(given.words, features, words.words, ranked, *ends, about, share=self.share)
        return given.told(mined, vocabulary)
