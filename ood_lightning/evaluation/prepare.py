"""What detectors are bound to, made before anything is scored: label sets, and the evidence of a run.

The way of one label set, `labels.json` of a fit with 900 positives of 80,000 words under a tower of 512 dimensions:

    source      Stored("labels.json")                    what the config names
    vocabulary  80,000 words, features (80000, 512)      the run's corpus under its prompts, encoded once
    label set   900 positives, "rest of the corpus"      read, and refused if another encoder or corpus made it
    ready       (900, 512) and (79100, 512)              text features on the device, and the words beside them

What the run lacks makes no error here: a label set whose source requires ID training images, in a run without them, is
left out, and so is every detector that reads it. Both are listed as not run, with the reason.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.corpora.prompts import OPENAI_80, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import Features
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.evidence import ClassBoundsBySet, Evidence, Inputs, SoftTokens, needed
from ood_lightning.detectors.image_texts import BareTexts
from ood_lightning.detectors.tins import SoftWords
from ood_lightning.encoders.soft_tokens import BLANK, SoftTokenTemplates, SoftTokenWords
from ood_lightning.errors import FeatureError
from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.checks import no_negatives
from ood_lightning.label_sets.ready import MadeLabelSet, lacking, make_label_sets, none_made, ready_label_sets


class Prepared(NamedTuple):
    """What detectors are bound to.

    Attributes:
        evidence: label sets with their features and words, and whatever else the run has.
        not_made: why the other label sets could not be made, 'needs ...', by name.
        remarks: on label sets whose names are not those of the ID set.
    """

    evidence: Evidence
    not_made: dict[str, str]
    remarks: list[str]


def prepare(
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    available: Inputs,
    device: torch.device,
) -> Prepared:
    """Make or read every label set that can be made, with its text features.

    Args:
        sources: of label sets, by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: encodes what is not cached; its encoder is loaded.
        available: what the run has of ID training images, and the names of its ID sets.
        device: where detectors compute.

    Raises:
        SettingsError: if no label set can be made, or one has names of another world.
    """
    not_made = lacking(sources, available)
    possible = {name: source for name, source in sources.items() if name not in not_made}
    if not possible:
        raise none_made(not_made)

    made = make_label_sets(possible, corpus, prompts, bank, available)
    for name, one in made.items():  # say what a person may not have meant
        if one.label_set.edited:
            rank_zero_info(f"label set {name!r} was edited by hand after it was made")
        for oddity in one.label_set.oddities():
            rank_zero_info(f"label set {name!r}: {oddity}")
    remarks = [one.remark for one in made.values() if one.remark]
    for remark in remarks:
        rank_zero_info(f"WARNING: {remark}")

    everything = _with_further_inputs(available, made, bank, device)
    evidence = Evidence.of(ready_label_sets(made, device), bank.encoder, everything)
    return Prepared(evidence, not_made, remarks)


def why_not(name: str, detector: Detector | StreamDetector, evidence: Evidence, extra_features: Collection[str]) -> str:
    """Why a detector cannot run, 'needs ...'; "" if it can.

    Args:
        name: of the detector.
        detector: its label set could be made.
        evidence: of the run.
        extra_features: columns that are stored beside the image features.

    Raises:
        SettingsError: it needs negatives, and its label set has none.
    """
    if detector.needs_negatives and not len(evidence.label_sets[detector.labels].negatives):
        raise no_negatives(name, detector.labels)
    if missing := detector.missing():
        return f"needs {missing.replace('<name>', name)}"

    columns = detector.columns if isinstance(detector, Detector) else ()
    absent = [column for column in columns if column not in ("image", *extra_features)]
    lacking_inputs = evidence.available.lacking(detector.required_inputs)
    return needed(lacking_inputs, absent) if lacking_inputs or absent else ""


def check_dimensions(sets: Sequence[Features], dim: int, encoder: str) -> None:
    """Refuse images whose features cannot be compared with the texts'.

    Args:
        sets: features (n, D_image) of images.
        dim: D of the texts' features.
        encoder: name of the texts' encoder.

    Raises:
        FeatureError: naming the set.
    """
    for features in sets:
        if features.image.shape[1] != dim:
            raise FeatureError(
                f"set {features.name!r} has features of {features.image.shape[1]} dimensions, the texts of encoder "
                f"{encoder!r} have {dim}: its feature files are another encoder's. Embed it again"
            )


def _with_further_inputs(
    available: Inputs, made: Mapping[str, MadeLabelSet], bank: TextBank, device: torch.device
) -> Inputs:
    """The inputs of ID training images, and those that come of the label sets and of the text tower."""
    bounds = {
        name: ClassBounds(*(part.to(device) for part in one.class_bounds))
        for name, one in made.items()
        if one.class_bounds is not None
    }
    if bounds:
        available = available.offering(ClassBoundsBySet, lambda: ClassBoundsBySet(bounds))

    bare = Prompts(("{}",))
    available = available.offering(BareTexts, lambda: BareTexts(lambda texts: bank.encode(texts, bare).to(device)))

    encoder = bank.encoder
    if encoder.supports_soft_tokens:
        with_blank = Prompts(OPENAI_80).fill(f" {BLANK} ")  # one in the place of the word
        available = available.offering(
            SoftTokens, lambda: SoftTokens(SoftTokenTemplates(with_blank, encoder.soft_tower()))
        )
        available = available.offering(
            SoftWords, lambda: SoftWords(cache(lambda words: SoftTokenWords(words, encoder.soft_tower())))
        )
    return available
