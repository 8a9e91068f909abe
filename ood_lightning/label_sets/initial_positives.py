"""Positives that a label set does not mine itself: true names, or the positives of another set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.data.artifacts.label_set import LABELS, LabelSet, Positive
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import IDSetNames, true_names
from ood_lightning.places import is_remote, locate

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.detectors.evidence import Input, Inputs
    from ood_lightning.label_sets.vocabulary import Vocabulary


class InitialPositives(NamedTuple):
    """Positives that were there before: true names, or those of another label set."""

    positives: tuple[Positive, ...]
    origin: LabelSet | None

    @classmethod
    def read(cls, source: str | None, vocabulary: Vocabulary, available: Inputs) -> InitialPositives:
        """From a set with a manifest, a text file with one name a line, or a label set; the ID set's names if None."""
        if source is None or not is_label_set(source):
            return cls(tuple(Positive(name) for name in true_names(source, available)), None)

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


@dataclass(frozen=True)
class NamesSource(LabelSource):
    """Base of sources whose positives begin with true names.

    Args:
        names: where they are read; None: those of the run's ID set.
    """

    names: str | None = None

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """The ID set's names, unless some are given."""
        return frozenset({IDSetNames}) if self.names is None else frozenset()

    def given_names(self, available: Inputs) -> list[str] | None:
        """The names; None where a label set that was made without any takes their place."""
        if self.names is None or not is_label_set(self.names):
            return self.true_names(available)
        label_set = LabelSet.read(locate(self.names))
        return label_set.words if "id_names" in label_set.supervision else None

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet | None:
        """Nothing but that its names can be read."""
        self.initial(vocabulary, available)
        return None

    def true_names(self, available: Inputs) -> list[str]:
        """The names in class order, duplicates kept."""
        return true_names(self.names, available)

    def initial(self, vocabulary: Vocabulary, available: Inputs) -> InitialPositives:
        """The same as positives, or those of the label set that takes their place."""
        return InitialPositives.read(self.names, vocabulary, available)


def is_label_set(source: str) -> bool:
    """Whether a source of names is a label set, `labels.json` or the folder of a run that wrote one."""
    if is_remote(source) or source.endswith("manifest.json"):
        return False
    path = locate(source)
    return path.suffix.lower() == ".json" or ((path / LABELS).is_file() and not (path / "manifest.json").is_file())
