"""Where the label sets of a run come from: a file, true names, or true names with mined negatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Words
from ood_lightning.data.labels import LabelSet, Positive
from ood_lightning.data.manifest import read_manifest
from ood_lightning.detectors.base import LabelFeatures
from ood_lightning.errors import LabelSetError
from ood_lightning.mining.recipe import prompts_recipe, recipe
from ood_lightning.places import locate

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Lexicon(NamedTuple):
    """The run's corpus: words, their features (V, D), and what made the features."""

    words: Words
    features: Tensor
    prompts: Prompts
    bank: TextBank

    def encode(self, texts: Sequence[str], what: str) -> Tensor:
        """Features (n, D) of texts: the corpus's own rows where it has them, encoded otherwise."""
        import torch

        row = {word: i for i, word in enumerate(self.words.words)}
        known = [row.get(text, -1) for text in texts]
        if min(known) >= 0:
            return self.features[torch.tensor(known)]
        return self.bank.features(texts, self.prompts, what)


class LabelSource(ABC):
    """Something that yields a label set."""

    @abstractmethod
    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """The set, under the run's encoder, corpus and prompts."""


@dataclass(frozen=True)
class Stored(LabelSource):
    """A label set on disk, mined or written by hand.

    Args:
        path: `labels.json`.
    """

    path: str

    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """Read it, and refuse one that this run's encoder or corpus did not make."""
        found = LabelSet.read(locate(self.path))
        encoder = lexicon.bank.encoder
        found.check_encoder(encoder.fingerprint, encoder.name)
        corpus = found.recipe.get("corpus", {})
        if found.negatives is None and corpus.get("sha256") != lexicon.words.sha256:
            raise LabelSetError(
                f"{self.path}: its negatives are the rest of corpus {corpus.get('name')!r} ({corpus.get('words')} "
                f"words), the run uses {lexicon.words.name!r} ({len(lexicon.words)} words). Name one corpus in both."
            )
        made_with, prompts = found.recipe.get("prompts"), prompts_recipe(lexicon.prompts)
        if made_with and made_with != prompts:
            raise LabelSetError(
                f"{self.path} was made with the prompts {made_with['templates'][:2]}, the run uses "
                f"{prompts['templates'][:2]}: scores would differ in silence. Name the same prompts in both."
            )
        return found


def read_names(source: str) -> list[str]:
    """ID names in class order: of a set with a manifest, or a text file with one name a line."""
    path = locate(source)
    if path.suffix == ".txt":
        if not path.is_file():
            raise LabelSetError(f"there is no file of names {path}")
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        names = [name for name in names if name]
    else:
        names = list(read_manifest(source).class_names)
    if not names:
        raise LabelSetError(
            f"{source} holds no ID names: give a manifest with class_names, or a .txt with one name a line"
        )
    return names


@dataclass(frozen=True)
class IDNames(LabelSource):
    """The true names, without negatives.

    Args:
        names: a set with a manifest, or a text file with one name a line.
    """

    names: str

    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """Names in class order; duplicates are kept, as in published evaluations."""
        about = recipe(lexicon.words, lexicon.prompts, lexicon.bank.encoder, supervision=["id_names"], method="names")
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

    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """ID names in class order, OOD names in the order of their sets."""
        names = read_names(self.names)
        taken = {name.lower() for name in names}
        candidates = dict.fromkeys(name for source in self.ood_names for name in read_names(source))
        negatives = tuple(name for name in candidates if name.lower() not in taken)
        if not negatives:
            raise LabelSetError(f"{', '.join(self.ood_names)}: every candidate is an ID name, so no negative is left")
        given = ["id_names", "ood_names"]
        about = recipe(
            lexicon.words, lexicon.prompts, lexicon.bank.encoder, supervision=given, method="candidate names"
        )
        return LabelSet(tuple(Positive(name) for name in names), negatives, about)


@dataclass(frozen=True)
class MinedNegatives(LabelSource):
    """The true names and the words of the corpus least similar to them (NegLabel).

    Args:
        names: a set with a manifest, or a text file with one name a line.
        count: K; 10,000 in NegLabel, 40,000 in ClusterMine's NegLabel*.
        quantile: of a word's cosines to the names.
    """

    names: str
    count: int = 10_000
    quantile: float = 0.95

    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """Rank the corpus."""
        from ood_lightning.mining.negatives import mine_negatives  # brings torch, which `filter --help` does without

        names = read_names(self.names)
        about = recipe(lexicon.words, lexicon.prompts, lexicon.bank.encoder)
        features = lexicon.encode(names, "ID names")
        return mine_negatives(names, features, lexicon.words.words, lexicon.features, self.count, about, self.quantile)


@dataclass(frozen=True)
class CLIPScopeNegatives(LabelSource):
    """The true names and the words of the corpus least and most like them (CLIPScope).

    Differs: one set of prompts, the run's, where the code has one for mining and one for each end; ID names are taken
    out of the corpus first.

    Args:
        names: a set with a manifest, or a text file with one name a line.
        farthest: words least like the names.
        nearest: words most like them.
        share: of the names that a word is compared with at its k-th largest cosine; 50 of 1,000 in the code.
    """

    names: str
    farthest: int = 5000
    nearest: int = 5000
    share: float = 0.05

    def label_set(self, lexicon: Lexicon) -> LabelSet:
        """Rank the corpus, keep both ends."""
        from ood_lightning.mining.negatives import mine_both_ends

        names = read_names(self.names)
        about = recipe(lexicon.words, lexicon.prompts, lexicon.bank.encoder)
        features, words = lexicon.encode(names, "ID names"), lexicon.words.words
        return mine_both_ends(
            names, features, words, lexicon.features, self.farthest, self.nearest, about, share=self.share
        )


def label_features(labels: LabelSet, lexicon: Lexicon, logit_scale: float, device: torch.device) -> LabelFeatures:
    """Text features of a label set on a device."""
    from ood_lightning.mining.negatives import rest_of

    positives = lexicon.encode(labels.words, "positives")
    if labels.negatives is None:
        negatives = lexicon.features[rest_of(lexicon.words.words, labels.words)]
    elif labels.negatives:
        negatives = lexicon.encode(labels.negatives, "negatives")
    else:
        negatives = lexicon.features[:0]
    return LabelFeatures(positives.to(device), negatives.to(device), logit_scale)


def negative_words(labels: LabelSet, lexicon: Lexicon) -> Sequence[str]:
    """The negatives as texts, in the order of their features."""
    from ood_lightning.mining.negatives import rest_of

    if labels.negatives is None:
        return [lexicon.words.words[i] for i in rest_of(lexicon.words.words, labels.words).tolist()]
    return labels.negatives
