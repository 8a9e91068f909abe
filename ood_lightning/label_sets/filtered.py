"""NegFilter over any label set: negatives that a judge takes for proper nouns, or for kinds of a positive, are dropped.

Source: NegRefine, ICCV 2025, https://arxiv.org/abs/2507.09795. What is asked, and in which order, stands in
`filtering.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import BARE, Prompts
from ood_lightning.errors import LabelSetError, SettingsError
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Judge
from ood_lightning.filtering.report import filtered_set
from ood_lightning.filtering.rules import Rules, Verdict, cleaned, negfilter
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.ready import texts_of
from ood_lightning.label_sets.sources import OfSource
from ood_lightning.places import expanded

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.label_sets.vocabulary import Vocabulary


JURY = 10  # ID pictures that decide about a word, as many as the names that a judge is asked about


def filter_negatives(
    label_set: LabelSet, vocabulary: Vocabulary, rules: Rules, session: JudgeSession, images: Tensor | None = None
) -> tuple[LabelSet, list[Verdict]]:
    """A label set without the negatives that its judge drops, and the verdict on each of its negatives.

    Args:
        label_set: with negatives, listed or the rest of the vocabulary's corpus.
        vocabulary: that it was made under; its encoder compares words, without any template.
        rules: that are followed.
        session: of the judge.
        images: unit features (n, D) of ID images; words that they vote for are dropped before the judge is asked, see
            :func:`ood_lightning.functional.picture_votes.voted_for`. None: pictures have no say.

    Raises:
        SettingsError: there is no negative to filter.
    """
    names, negatives = texts_of(label_set, vocabulary)
    if not negatives:
        raise SettingsError("the label set has no negatives to filter: name one that has")

    words, dropped = cleaned(negatives, rules.hash_order)
    if images is not None:
        voted_out = _voted_out(label_set, vocabulary, images)
        dropped += [verdict._replace(reason="ID pictures") for verdict in words if verdict.original in voted_out]
        words = [verdict for verdict in words if verdict.original not in voted_out]

    nearest = _nearest([verdict.word for verdict in words], names, rules.nearest, vocabulary.bank)
    verdicts = [*negfilter(words, nearest, session, rules.proper_nouns, rules.subcategories), *dropped]
    filtered = filtered_set(label_set, verdicts, rules, session, _adjectives(label_set, vocabulary))
    if images is not None:
        supervision = sorted({*filtered.supervision, "id_images"})
        by_pictures = {"filter": {**filtered.recipe["filter"], "id_pictures": len(images), "nearest_pictures": JURY}}
        filtered = replace(filtered, recipe={**filtered.recipe, **by_pictures, "supervision": supervision})
    return filtered, verdicts


def _voted_out(label_set: LabelSet, vocabulary: Vocabulary, images: Tensor) -> set[str]:
    """Negatives that ID images vote for."""
    import torch

    from ood_lightning.functional.picture_votes import voted_for
    from ood_lightning.label_sets.ready import label_features

    features = label_features(label_set, vocabulary, torch.device("cpu"))
    voted = voted_for(images.cpu().float(), features.positives, features.negatives, JURY)
    negatives = texts_of(label_set, vocabulary).negatives
    return {negatives[row] for row in voted.nonzero()[:, 0].tolist()}


@dataclass(frozen=True)
class Filtered(OfSource):
    """A label set without the negatives that are proper nouns or subcategories of a positive: filter and run in one.

    `filter` does the same as a step of its own, with a report and a second judge.

    Args:
        source: what makes or reads the set; a path stands for a label set on disk.
        judge: who decides.
        rules: the paper's, unless changed.
        decisions: file in which answers are kept, so that a run that is repeated or goes on asks nothing twice; needed
            for judges whose answers cost something, such as chat models.
    """

    source: LabelSource | str  # named again: who reads annotations looks for its classes in this module
    judge: Judge
    rules: Rules = Rules()  # noqa: RUF009
    decisions: str | None = None

    def known(self, vocabulary: Vocabulary, available: Inputs) -> None:
        """Nothing before the judge was asked; refuses what its source refuses, and a judge that cannot be asked."""
        super().known(vocabulary, available)
        session = self._session()
        if session.decisions is None or self.judge.identity not in session.decisions.known:
            self.judge.check()  # else its answers may all be there

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Make the source's set and ask the judge of its negatives."""
        made = super().make(vocabulary, available)
        label_set, _ = filter_negatives(made, vocabulary, self.rules, self._session())
        if not label_set.negatives:
            raise LabelSetError(f"{self.judge.identity} dropped every negative: no label set is left to score with")
        return label_set

    def _session(self) -> JudgeSession:
        if self.judge.remembered and self.decisions is None:
            raise SettingsError(
                f"the answers of {self.judge.identity} cost too much to be asked for again: name a file in which they "
                f"are kept, `decisions: runs/decisions.jsonl`"
            )
        decisions = None if self.decisions is None else Decisions(expanded(self.decisions))
        return JudgeSession(self.judge, decisions, self.rules.unclear)


def _nearest(words: Sequence[str], names: Sequence[str], count: int, bank: TextBank) -> list[list[str]]:
    """The names most like each word, by cosine of the bare strings, the most similar first."""
    from ood_lightning.functional.similarity import top_k

    if not words:
        return []

    bare = Prompts(BARE)
    features, name_features = bank.features(words, bare, "negatives"), bank.features(names, bare, "positives")
    indices = top_k(features, name_features, min(count, len(names))).indices
    return [[names[i] for i in row] for row in indices.tolist()]


def _adjectives(label_set: LabelSet, vocabulary: Vocabulary) -> Collection[str] | None:
    """Which of its negatives take the templates for adjectives; None where there are no such templates."""
    if vocabulary.prompts.adjectives is None:
        return None
    if label_set.negatives is None:
        return vocabulary.words.adjectives
    return frozenset(label_set.recipe.get("adjectives", {}).get("negatives", ()))
