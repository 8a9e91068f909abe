"""Positives that a label set does not mine itself: true names, or the positives of another set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.class_names import read_names
from ood_lightning.places import locate

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.label_sets.vocabulary import Vocabulary


class InitialPositives(NamedTuple):
    """Positives that were there before: true names, or those of another label set."""

    positives: tuple[Positive, ...]
    origin: LabelSet | None

    @classmethod
    def read(cls, source: str, vocabulary: Vocabulary) -> InitialPositives:
        """From a set with a manifest, a text file with one name a line, or a label set (`.json`)."""
        if not source.lower().endswith(".json") or source.rpartition("/")[2] == "manifest.json":
            return cls(tuple(Positive(name) for name in read_names(source)), None)

        label_set = LabelSet.read(locate(source))
        label_set.check_encoder(vocabulary.bank.encoder.fingerprint, vocabulary.bank.encoder.name)
        return cls(label_set.positives, label_set)

    @property
    def words(self) -> list[str]:
        """As texts."""
        return [positive.label for positive in self.positives]

    @property
    def n_names(self) -> int:
        """How many of them are true names, nouns to every prompt."""
        return len(self.positives) if self.origin is None or "id_names" in self.origin.supervision else 0

    def encode(self, vocabulary: Vocabulary) -> Tensor:
        """Their features, (P, D)."""
        return vocabulary.encode(self.words, "ID names", () if self.n_names else vocabulary.words.adjectives)

    def with_provenance(self, mined: LabelSet, vocabulary: Vocabulary) -> LabelSet:
        """The mined set with these positives in front, whose recipe says where they come from.

        Args:
            mined: has the words of these positives in front, in the same order.
            vocabulary: that it was mined from.
        """
        if self.origin is not None:
            origin = {"method": self.origin.recipe.get("method"), "sha256": self.origin.sha256}
            recipe = {**mined.recipe, "positives": origin, "supervision": list(self.origin.supervision)}
            mined = replace(mined, positives=self.positives + mined.positives[len(self.positives) :], recipe=recipe)
        return vocabulary.with_adjectives(mined, names=self.n_names)
