"""A detector bound to a label set that was just made, the scores of sets under it, and how well they come apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, Inputs
from ood_lightning.errors import SettingsError
from ood_lightning.evaluation.prepare import why_not
from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import Result, evaluate

if TYPE_CHECKING:
    from ood_lightning.detectors.evidence import ReadyLabelSet

ROWS = 1024  # images that are scored at once


class Bound:
    """A detector with its label set, on a device.

    Args:
        detector: how images are scored.
        made: the label set that it reads, and whose words explain images.
        available: what the ID training images offer.
        device: where scores are computed.

    Raises:
        SettingsError: it needs something that is not there.
    """

    def __init__(self, detector: Detector, made: MadeLabelSet, available: Inputs, device: torch.device) -> None:
        encoder, name = made.vocabulary.bank.encoder, type(detector).__name__
        self.detector, self.device = detector, device
        self.ready: ReadyLabelSet = made.ready(device)

        evidence = Evidence.of({detector.labels: self.ready}, encoder, available)
        if why := why_not(name, detector, evidence, encoder.extra_features):
            raise SettingsError(f"{name} {why.replace('data.', '')}, which `run` does not have: name another detector")
        self._scorer: Scorer = detector.bind(evidence)

    def scores(self, images: FeatureSet, rows: Tensor | None = None) -> Tensor:
        """Scores of some images of a set, or of all, see :func:`scores_of`."""
        return scores_of(self._scorer, self.detector, images, self.device, rows)

    def nearest_words(self, images: FeatureSet, count: int = 3) -> list[list[str]]:
        """The nearest positives of each image, the nearest first."""
        words, positives = self.ready.texts.positives, self.ready.positives.features
        k = min(count, len(words))
        named: list[list[str]] = []
        for block in images.features.image[:].split(ROWS):
            nearest = top_k(unit(block.to(self.device).float()), positives, k).indices.tolist()
            named += [[words[i] for i in row] for row in nearest]
        return named


def scores_of(
    scorer: Scorer, detector: Detector, images: FeatureSet, device: torch.device, rows: Tensor | None = None
) -> Tensor:
    """Scores of images whose features are stored, float64, on the CPU.

    Args:
        scorer: the detector, bound on the device.
        detector: whose columns it takes.
        images: the set, with these columns.
        device: where scores are computed.
        rows: int64, of the images to score, shape (m,); None: all n of them.
    """
    features = images.features
    parts = []
    for block in (torch.arange(len(features)) if rows is None else rows).split(ROWS):
        columns = {"image": unit(features.image[block].to(device).float())}
        for name in detector.columns:
            if name != "image":
                column = features.columns[name]
                columns[name] = torch.cat([column.rows(row, row + 1) for row in block.tolist()]).to(device).float()
        parts.append(scorer(*(columns[name] for name in detector.columns)).cpu())
    return torch.cat(parts)


def compared(
    detector: str, id_name: str, id_scores: Tensor, ood_scores: Mapping[str, Tensor], supervision: Sequence[str]
) -> list[Result]:
    """How well held-out ID images and each OOD set come apart, with 95 % bootstrap intervals, and the mean.

    Args:
        detector: its name.
        id_name: of the held-out images.
        id_scores: theirs, (n,).
        ood_scores: of each OOD set, by its name.
        supervision: what the detector was given.
    """
    rows = [
        evaluate(detector, id_name, name, id_scores, scores, supervision=supervision)
        for name, scores in ood_scores.items()
    ]
    scores = {id_name: id_scores[:, None], **{name: column[:, None] for name, column in ood_scores.items()}}
    return bootstrap(rows, scores, [detector])[0]
