"""The model gate: does the model name the pictures of a known set as often as it was published to?

A wrong activation, other resizing or classes in another order leave scores that look like scores. Top-1 shows them. The
class names and labels of test sets are used for this alone; no detector sees them here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.corpora.prompts import OPENAI_80, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.cards.card import TOLERANCE
from ood_lightning.data.cards.compare import differences, known
from ood_lightning.data.class_names import own_names
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import GateError
from ood_lightning.evaluation.prepare import check_dimensions
from ood_lightning.functional.quality import top1

Gate = Literal["refuse", "warn"]
CAUSES = (
    "class names in another order than the labels, other names, wrong labels, weights under a model "
    "name with another activation (-quickgelu), another preprocessing"
)


@dataclass(frozen=True)
class Published:
    """What a card has for a model on a set.

    Args:
        percent: top-1.
        source: who says so.
        prompts: of the measurement.
        differs: in what else the set is not what its card says.
    """

    percent: float
    source: str
    prompts: Prompts
    differs: tuple[str, ...]

    @classmethod
    def find(cls, manifest: Manifest, encoder: str) -> Self | None:
        """The figure for a packed set; None: its manifest names no card, or the card has none for this encoder."""
        entry = known(manifest)
        figure = None if entry is None else entry[0].published_top1(encoder, entry[1])
        if entry is None or entry[0].top1 is None or figure is None:
            return None

        prompts = Prompts(entry[0].top1.templates or OPENAI_80, "normalise-then-mean")  # open_clip's order
        differs = tuple(difference.text for difference in differences(manifest, manifest.protocol))
        return cls(figure.percent, figure.source, prompts, differs)


@dataclass(frozen=True)
class Measured:
    """Zero-shot top-1 of a set, as results record it.

    Args:
        set: its name.
        percent: measured.
        pictures: that have a label.
        names: to choose from.
        templates: how many were around each name.
        prompts_sha256: which they were.
        published: percent; None: nobody published one, so nothing is claimed.
        source: who published it.
        differs: in what else the set is not what its card says.
    """

    set: str
    percent: float
    pictures: int
    names: int
    templates: int
    prompts_sha256: str
    published: float | None = None
    source: str = ""
    differs: tuple[str, ...] = ()

    @property
    def passes(self) -> bool | None:
        """Whether it lies in the published range; None: nobody published one."""
        return None if self.published is None else abs(self.percent - self.published) <= TOLERANCE


def gate_model(
    trainer: L.Trainer, sets: Sequence[EvalSet], bank: TextBank, prompts: Prompts, gate: Gate
) -> list[Measured]:
    """Zero-shot top-1 of a run's sets. Rank 0 measures and all judge, so that they go on or stop together.

    Args:
        trainer: of the run.
        sets: of the run.
        bank: encodes class names.
        prompts: of the sets that nobody published a figure for.
        gate: see :func:`judge`.

    Raises:
        GateError: see :func:`judge`.
    """
    measured: list[Measured] = []
    if trainer.is_global_zero:
        device = trainer.strategy.root_device
        bank.encoder.load(device)
        measured = measure(sets, bank, prompts, device)
    measured = trainer.strategy.broadcast(measured)
    judge(measured, bank.encoder.name, gate)
    return measured


def measure(sets: Sequence[EvalSet], bank: TextBank, prompts: Prompts, device: torch.device) -> list[Measured]:
    """Zero-shot top-1 of ID and shifted sets that have labels and class names, from their stored features.

    Args:
        sets: of the run.
        bank: encodes class names, under the prompts of the published figure where there is one.
        prompts: for the other sets.
        device: where products are taken.
    """
    measured = [_measure(one, bank, prompts, device) for one in sets if one.role != "ood"]
    return [one for one in measured if one is not None]


def _measure(one: EvalSet, bank: TextBank, prompts: Prompts, device: torch.device) -> Measured | None:
    """Zero-shot top-1 of one set; None where it has no labels or no class names."""
    features, names = one.features, own_names(one.manifest)
    published = Published.find(one.manifest, bank.encoder.name)
    n_labelled = int((features.label >= 0).sum())
    if not (names and n_labelled):
        if published is not None:
            lacking = "labels (.cls)" if names else "class_names in its manifest"
            rank_zero_info(
                f"zero-shot top-1 of {features.name} is published, but cannot be checked: it has no {lacking}"
            )
        return None

    its_prompts = prompts.without_adjectives() if published is None else published.prompts
    if published is not None:
        names = tuple(name.replace("_", " ") for name in names)  # as those who publish figures write them
    texts = bank.features(names, its_prompts, f"classes of {features.name}")
    check_dimensions([features], texts.shape[1], bank.encoder.name)
    accuracy = top1(features.image.to(device), texts.to(device), features.label.to(device))

    figure = () if published is None else (published.percent, published.source, published.differs)
    templates = len(its_prompts.templates)
    return Measured(features.name, 100 * accuracy, n_labelled, len(names), templates, its_prompts.fingerprint, *figure)


def judge(measured: Sequence[Measured], encoder: str, gate: Gate) -> None:
    """Say what was measured, and refuse a model that is not the published one.

    Args:
        measured: of all sets.
        encoder: its name.
        gate: `warn` goes on all the same.

    Raises:
        GateError: a set's top-1 lies outside the published range.
    """
    failed = [one for one in measured if one.passes is False]
    in_error = failed[:1] if gate == "refuse" else []
    for one in measured:
        if one.published is not None and one not in in_error:
            rank_zero_info(f"{_figures(one)}: {'within' if one.passes else 'WARNING, not within'} {TOLERANCE:g} points")

    if unknown := [f"{one.set} {one.percent:.2f} %" for one in measured if one.published is None]:
        rank_zero_info(f"zero-shot top-1 under the run's prompts, with no published figure: {', '.join(unknown)}")

    if in_error:
        first, *others = failed
        further = f"; {', '.join(one.set for one in others)} too" if others else ""
        beside = f" Beside that: {'; '.join(first.differs)}." if first.differs else ""
        raise GateError(
            f"{_figures(first)}, not within {TOLERANCE:g} points under {encoder}{further}: no score is to be "
            f"believed. Usual causes: {CAUSES}.{beside} To go on all the same: --model.gate warn"
        )


def _figures(one: Measured) -> str:
    return f"zero-shot top-1 of {one.set} is {one.percent:.2f} %, published {one.published:.2f} % ({one.source})"
