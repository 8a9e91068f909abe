"""A finished run's scores under an edited label set: only the words that moved are compared with the images.

Scores of :class:`~ood_lightning.detectors.label_mass.LabelMass` alone are sums over words. Other detectors that read
the label set are listed as not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import Inputs, ReadyLabelSet
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.errors import SettingsError
from ood_lightning.functional.moved_words import MovedWords, moved_scores
from ood_lightning.functional.shares import text_logits
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.sources import Stored, as_source
from ood_lightning.label_sets.vocabulary import Vocabulary, build_vocabularies
from ood_lightning.revision.edit import Rests, edited, moved, rests
from ood_lightning.revision.stored_run import StoredRun, in_blocks


class Nearest(NamedTuple):
    """The nearest words of a set's images: positions in the label set, int64, each (n,)."""

    positives: Tensor
    negatives: Tensor


class SetAfter(NamedTuple):
    """A set under the edited label set.

    Attributes:
        scores: float64, shape (K, n), of the detectors in their order.
        nearest: words.
        n_whole: images whose negatives were all summed again, for one of the detectors.
    """

    scores: Tensor
    nearest: Nearest
    n_whole: int


@dataclass(frozen=True)
class Edition:
    """A label set of a run, edited.

    Args:
        run: the finished run.
        name: of the label set.
        after: the edited set.
        vocabulary: that both are scored under.
    """

    run: StoredRun
    name: str
    after: LabelSet
    vocabulary: Vocabulary

    @classmethod
    def of(cls, run: StoredRun, name: str, drop: Sequence[str], add: Sequence[str]) -> Edition:
        """Edit a label set of a run.

        Raises:
            UserError: no detector of the run could be scored anew, or words cannot be dropped or added.
        """
        if not by_words(run, name):
            raise SettingsError(
                f"no detector of {run.folder} sums over the words of label set {name!r}: detectors of class LabelMass "
                f"do. Edit the file and run `test`"
            )
        vocabulary = vocabulary_of(run, name)
        return cls(run, name, edited(run.label_sets[name], drop, add, vocabulary), vocabulary)

    @property
    def detectors(self) -> dict[str, LabelMass]:
        """Those that are scored anew, by name."""
        return by_words(self.run, self.name)

    @property
    def not_run(self) -> dict[str, str]:
        """Why other detectors that read the set are not."""
        settings = self.run.settings
        others = {**settings.detectors, **(settings.streams or {})}
        return {
            name: "no sum over words: run `test` with the new label set"
            for name, detector in others.items()
            if detector.labels == self.name and name not in self.detectors
        }

    @cached_property
    def words(self) -> MovedWords:
        """What moved."""
        before = self.run.label_sets[self.name]
        return moved(before, self.after, self._rests, self.vocabulary, self.run.device)

    @cached_property
    def _rests(self) -> Rests | None:
        return rests(self.run.label_sets[self.name], self.after, self.vocabulary)

    @cached_property
    def ready(self) -> ReadyLabelSet:
        """The edited set, whole: for images of which too little is known."""
        return MadeLabelSet(self.after, self.vocabulary, None).ready(self.run.device)

    def set_after(self, images: EvalSet, before: Sequence[Tensor], top_negatives: Sequence[str] | None) -> SetAfter:
        """Scores and nearest words of a set's images under the edited label set.

        Args:
            images: of the run.
            before: their scores under the set as it was, float64, (n,) for each detector.
            top_negatives: their nearest negatives before; None where the run did not look for them.
        """
        n, device = len(images.features), self.run.device
        scores = torch.empty(len(self.detectors), n, dtype=torch.float64)
        nearest = Nearest(torch.full((n,), -1), torch.full((n,), -1))
        whole = torch.zeros(n, dtype=torch.bool)
        scale = self.vocabulary.bank.logit_scale

        def add(rows: slice, features: Tensor) -> None:
            for k, detector in enumerate(self.detectors.values()):
                its_scale = detector.sharpness * scale
                result = moved_scores(features, before[k][rows].to(device), self.words, its_scale)
                masses, unsure = result.negatives.mass, result.negatives.unsure
                if unsure.any():
                    masses[unsure] = self.ready.negatives.log_mass(its_scale)(features[unsure])
                scores[k, rows] = (result.positives - masses).cpu()
                nearest.positives[rows] = result.nearest.cpu()
                whole[rows] |= unsure.cpu()
            if top_negatives is not None:
                nearest.negatives[rows] = self._nearest_negatives(features, top_negatives[rows]).cpu()

        in_blocks(images, device, add)
        return SetAfter(scores, nearest, int(whole.sum()))

    @cached_property
    def _positions(self) -> dict[str, int]:
        """The first position of each negative."""
        texts = self.ready.texts.negatives
        return {text: len(texts) - 1 - i for i, text in enumerate(reversed(texts))}

    def _nearest_negatives(self, features: Tensor, before: Sequence[str]) -> Tensor:
        """Positions of the nearest negatives, int64, (b,): the ones before, unless they left or a nearer one came."""
        known = torch.tensor([self._positions.get(word, -1) for word in before], device=features.device)
        came = self._came
        if len(came):
            kept = self._negatives[known.clamp(min=0)]
            cosines = (kept.double() * features.double()).sum(dim=1)  # (b,)
            of_came, which = text_logits(features, self._negatives[came], 1.0).max(dim=1)
            rows = came[which]
            nearer = (of_came > cosines) | ((of_came == cosines) & (rows < known))
            known = torch.where(nearer & (known >= 0), rows, known)

        gone = known < 0
        if gone.any():
            known[gone] = self.ready.negatives.nearest()(features[gone])
        return known

    @cached_property
    def _negatives(self) -> Tensor:
        return self.ready.negatives.features

    @cached_property
    def _came(self) -> Tensor:
        """Positions of the negatives that came; of listed ones none do."""
        if self._rests is None:
            return torch.empty(0, dtype=torch.int64)
        return (~torch.isin(self._rests.after, self._rests.before)).nonzero()[:, 0].to(self.run.device)


def vocabulary_of(run: StoredRun, name: str) -> Vocabulary:
    """What a label set of a run was scored under; the encoder is loaded where texts of it are not stored.

    Raises:
        LabelSetError: it is not what made the set.
    """
    settings = run.settings
    corpus, prompts = as_source(settings.label_sets[name]).corpus_and_prompts(settings.corpus, settings.prompts)
    stored = Stored(str(run.folder / "labels" / f"{name}.json"))
    bank = TextBank(settings.encoder, settings.cache_dir, run.device)
    vocabulary = build_vocabularies({name: stored}, corpus, prompts, bank)[name]
    stored.known(vocabulary, Inputs())
    return vocabulary


def by_words(run: StoredRun, name: str) -> dict[str, LabelMass]:
    """Detectors of a run whose scores are sums over the words of a label set, and that were run."""
    return {
        of_run: detector
        for of_run, detector in run.settings.detectors.items()
        if type(detector) is LabelMass and detector.labels == name and of_run in run.scores.detectors
    }
