"""Label sets made ready: the one way from label sources to what detectors, trainings and commands read.

    sources -> vocabularies -> label sets -> words and text features on a device

Shapes: with P positives, N negatives and D dimensions, a ready set holds (P, D) and (N, D) unit vectors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.compared_texts import ComparedTexts, CorpusProducts, OwnTexts
from ood_lightning.detectors.evidence import Inputs, LabelFeatures, ReadyLabelSet, Texts, needed
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError, UserError
from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import foreign_names
from ood_lightning.label_sets.negatives import rest_of
from ood_lightning.label_sets.sources import as_source
from ood_lightning.label_sets.vocabulary import Vocabulary, build_vocabularies


@dataclass(frozen=True)
class MadeLabelSet:
    """A label set, and the vocabulary that it was made under.

    Args:
        label_set: its words and recipe.
        vocabulary: a corpus under prompts and the run's encoder.
        class_bounds: how similar its names are to their images, on the CPU; None where its source looks at none.
        remark: what is to be said of its names, which are not the ID set's; "" where they are.
    """

    label_set: LabelSet
    vocabulary: Vocabulary
    class_bounds: ClassBounds | None
    remark: str = ""

    @property
    def declared(self) -> LabelSet:
        """The set, whose recipe says the remark too: what is written to a file of its own."""
        if not self.remark:
            return self.label_set
        return replace(self.label_set, recipe={**self.label_set.recipe, "names_check": self.remark})

    def positives(self) -> Tensor:
        """Features (P, D) of the positives, on the CPU."""
        adjectives = self.label_set.recipe.get("adjectives", {}).get("positives", ())
        return self.vocabulary.encode(self.label_set.words, "positives", adjectives)

    def ready(self, device: torch.device) -> ReadyLabelSet:
        """The set with its words and their features on a device."""
        return ready_label_sets({"": self}, device)[""]

    def over(self, corpus: CorpusProducts, device: torch.device) -> ReadyLabelSet:
        """The set with its words and their features on a device.

        Args:
            corpus: of the vocabulary's words, shared with other label sets.
            device: of the corpus.
        """
        positives, negatives = _sides(self.label_set, self.vocabulary, corpus, device)
        return ReadyLabelSet(
            self.label_set,
            positives,
            negatives,
            self.vocabulary.bank.logit_scale,
            texts_of(self.label_set, self.vocabulary),
            self.vocabulary.prompts.fingerprint,
            encode=partial(self.vocabulary.bank.encode, prompts=self.vocabulary.prompts),
            positives_under=self._positives_under,
        )

    def _positives_under(self, make: Callable[[Encoder], Encoder]) -> Tensor:
        """Features of the positives under the tower that `make` makes of the run's encoder."""
        bank, prompts = self.vocabulary.bank, self.vocabulary.prompts.without_adjectives()
        tower = make(bank.encoder)
        return TextBank(tower, bank.cache_dir).features(self.label_set.words, prompts, f"positives under {tower.name}")


def ready_label_sets(made: Mapping[str, MadeLabelSet], device: torch.device) -> dict[str, ReadyLabelSet]:
    """All sets with their words and their features on a device; sets of one vocabulary share its features there."""
    vocabularies = {one.vocabulary.key: one.vocabulary for one in made.values()}
    corpora = {key: CorpusProducts(one.features.to(device)) for key, one in vocabularies.items()}
    return {name: one.over(corpora[one.vocabulary.key], device) for name, one in made.items()}


def lacking(sources: Mapping[str, LabelSource], available: Inputs) -> dict[str, str]:
    """The words 'needs ...' for each source that requires an input which is not available, by its name."""
    return {
        name: needed(kinds) for name, source in sources.items() if (kinds := available.lacking(source.required_inputs))
    }


def remarks_on_names(
    sources: Mapping[str, LabelSource], corpus: Corpus, prompts: Prompts, available: Inputs
) -> dict[str, str]:
    """What is to be said of sources, and of their corpora, whose names are not those of the ID set; by name.

    Nothing is encoded for it.

    Raises:
        SettingsError: names are another world's, and are to be refused.
    """
    lists = {name: source.given_names(available) for name, source in sources.items()}
    corpora = {name: source.corpus_and_prompts(corpus, prompts)[0].true_names() for name, source in sources.items()}
    remarks: dict[str, str] = {}
    for what, of_each in (("label set", lists), ("the corpus of label set", corpora)):
        remarks |= foreign_names({name: names for name, names in of_each.items() if names is not None}, what, available)
    return remarks


def make_label_sets(
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    available: Inputs,
) -> dict[str, MadeLabelSet]:
    """Ask every source for its label set.

    Args:
        sources: by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached; its encoder is loaded.
        available: inputs that sources may ask for.

    Raises:
        SettingsError: a source requires an input that is not available, or has names of another world.
    """
    if missing := lacking(sources, available):
        raise SettingsError("; ".join(f"label set {name!r} {what}" for name, what in missing.items()))

    remarks = remarks_on_names(sources, corpus, prompts, available)
    vocabularies = build_vocabularies(sources, corpus, prompts, bank)
    return {
        name: _made(sources[name], vocabulary, available, remarks.get(name, ""))
        for name, vocabulary in vocabularies.items()
    }


def make_possible(
    sources: Mapping[str, LabelSource], corpus: Corpus, prompts: Prompts, bank: TextBank, available: Inputs
) -> tuple[dict[str, MadeLabelSet], dict[str, str]]:
    """As :func:`make_label_sets`, where a set that cannot be made does not keep the others from it.

    Returns:
        The sets that were made, and why the others were not, each by name.

    Raises:
        SettingsError: none can be made.
    """
    reasons = lacking(sources, available)
    possible = {name: source for name, source in sources.items() if name not in reasons}
    remarks = remarks_on_names(possible, corpus, prompts, available)

    made: dict[str, MadeLabelSet] = {}
    for name, vocabulary in build_vocabularies(possible, corpus, prompts, bank).items():
        try:
            made[name] = _made(possible[name], vocabulary, available, remarks.get(name, ""))
        except UserError as error:
            reasons[name] = str(error)

    if not made:
        raise none_made(reasons)
    return made, reasons


def none_made(reasons: Mapping[str, str]) -> SettingsError:
    """What to say where no label set can be made, with the reason of each."""
    return SettingsError(
        f"no label set can be made: {'; '.join(f'label set {name!r} {why}' for name, why in reasons.items())}"
    )


def _made(source: LabelSource, vocabulary: Vocabulary, available: Inputs, remark: str) -> MadeLabelSet:
    label_set, bounds = source.make(vocabulary, available), source.class_bounds(vocabulary, available)
    return MadeLabelSet(label_set, vocabulary, bounds, remark)


def make_label_set(
    source: LabelSource | str, corpus: Corpus, prompts: Prompts, bank: TextBank, available: Inputs
) -> MadeLabelSet:
    """As :func:`make_label_sets`, for one source; a path stands for a label set on disk."""
    name = source if isinstance(source, str) else type(source).__name__
    return make_label_sets({name: as_source(source)}, corpus, prompts, bank, available)[name]


def label_features(label_set: LabelSet, vocabulary: Vocabulary, device: torch.device) -> LabelFeatures:
    """Text features of a label set on a device.

    Negatives that are the rest of the corpus come as often as the corpus has them; positives once, listed negatives as
    often as they are listed.
    """
    positives, negatives = _sides(label_set, vocabulary, CorpusProducts(vocabulary.features.to(device)), device)
    return LabelFeatures(positives.features, negatives.features, vocabulary.bank.logit_scale)


def _sides(
    label_set: LabelSet, vocabulary: Vocabulary, corpus: CorpusProducts, device: torch.device
) -> tuple[ComparedTexts, ComparedTexts]:
    """Positives and negatives: rows of the corpus where the negatives are the rest of it, else texts of their own."""
    adjectives = label_set.recipe.get("adjectives", {})

    def encoded(texts: Sequence[str], side: str) -> OwnTexts:
        return OwnTexts(vocabulary.encode(texts, side, adjectives.get(side, ())).to(device))

    if label_set.negatives is not None:
        positives = encoded(label_set.words, "positives")
        none = OwnTexts(positives.features[:0])
        return positives, encoded(label_set.negatives, "negatives") if label_set.negatives else none

    rows = vocabulary.rows(label_set.words, adjectives.get("positives", ()))
    in_corpus = bool((rows >= 0).all())  # names need not be
    return (
        corpus.rows(rows) if in_corpus else encoded(label_set.words, "positives"),
        corpus.rows(rest_rows(label_set, vocabulary)),
    )


def texts_of(label_set: LabelSet, vocabulary: Vocabulary) -> Texts:
    """The words of a label set, in the order of its features."""
    if label_set.negatives is not None:
        return Texts(label_set.words, label_set.negatives)
    rest = rest_rows(label_set, vocabulary).tolist()
    return Texts(label_set.words, [vocabulary.words.words[row] for row in rest])


def rest_rows(label_set: LabelSet, vocabulary: Vocabulary) -> Tensor:
    """Rows of the corpus that are no positive, each as often as the corpus has its word, int64.

    They are the negatives of a set that says 'the rest of the corpus'.
    """
    rows = rest_of(vocabulary.words.words, label_set.words)
    counts = vocabulary.words.counts
    return rows if counts is None else rows.repeat_interleave(torch.tensor(counts)[rows])
