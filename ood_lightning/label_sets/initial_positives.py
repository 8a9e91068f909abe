"""Positives that a label set does not mine itself: true names, or the positives of another set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.class_names import read_names
from ood_lightning.label_sets.recipe import with_adjectives
from ood_lightning.places import locate

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.label_sets.sources import Vocabulary


class InitialPositives(NamedTuple):
    """Positives that were there before: true names, or those of another label set."""

    positives: tuple[Positive, ...]
    origin: LabelSet | None

    @classmethod
    def read(cls, source: str, vocabulary: Vocabulary) -> InitialPositives:
        """From a set with a manifest, a text file with one name a line, or a label set (`.json`)."""
        if not source.endswith(".json") or source.rpartition("/")[2] == "manifest.json":
            return cls(tuple(Positive(name) for name in read_names(source)), None)
        found = LabelSet.read(locate(source))
        found.check_encoder(vocabulary.bank.encoder.fingerprint, vocabulary.bank.encoder.name)
        return cls(found.positives, found)

    @property
    def words(self) -> list[str]:
        """As texts."""
        return [positive.label for positive in self.positives]

    @property
    def n_names(self) -> int:
        """How many of them are true names, nouns to every prompt."""
        named = self.origin is None or "id_names" in self.origin.supervision
        return len(self.positives) if named else 0

    def encode(self, vocabulary: Vocabulary) -> Tensor:
        """Their features, (P, D)."""
        return vocabulary.encode(self.words, "ID names", () if self.n_names else vocabulary.words.adjectives)

    def told(self, mined: LabelSet, vocabulary: Vocabulary) -> LabelSet:
        """A set with these positives in front, saying where they come from and which words are adjectives."""
        if self.origin is not None:
            whence = {"method": self.origin.recipe.get("method"), "sha256": self.origin.sha256}
            about = {**mined.recipe, "positives": whence, "supervision": list(self.origin.supervision)}
            mined = replace(mined, positives=self.positives + mined.positives[len(self.positives) :], recipe=about)
        return with_adjectives(mined, vocabulary.words, vocabulary.prompts, names=self.n_names)
