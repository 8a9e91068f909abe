"""What an evaluation shows on a dashboard beside its table: score histograms, ROC curves, and the images it gets wrong.

Nothing of this is computed where no logger shows it. Scores of one set under all detectors are in memory at a time, and
those of all sets under one detector.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning.pytorch as L
import torch
from PIL import Image
from torch import Tensor

from ood_lightning.callbacks.wandb import is_shown, log_lines, log_picture_table
from ood_lightning.datamodules.contracts import EvalData
from ood_lightning.functional.ranked import id_threshold
from ood_lightning.functional.roc import roc_curve
from ood_lightning.reasons.thumbnails import images_at

BINS = 50  # of a histogram
PICTURES = 12  # false alarms, and misses
COLUMNS = ("picture", "set", "key", "score", "nearest positive", "nearest negative")


def histograms(scores: Sequence[Tensor], bins: int = BINS) -> tuple[Tensor, list[Tensor]]:
    """Shares of each set's images in equal bins from the lowest to the highest score of all sets.

    Args:
        scores: of each set, shape (n,); finite.
        bins: how many.

    Returns:
        The middles of the bins (bins,), and for each set its shares (bins,), which sum to 1.

    Example:
        >>> middles, (shares,) = histograms([torch.tensor([0.0, 0.1, 1.0])], bins=2)
        >>> middles.tolist(), [round(share, 2) for share in shares.tolist()]
        ([0.25, 0.75], [0.67, 0.33])
    """
    lowest = min(float(one.min()) for one in scores)
    highest = max(float(one.max()) for one in scores)
    if lowest == highest:
        lowest, highest = lowest - 0.5, highest + 0.5

    edges = torch.linspace(lowest, highest, bins + 1, dtype=torch.float64)
    shares = []
    for one in scores:
        in_bin = (torch.searchsorted(edges, one.double(), side="right") - 1).clamp(0, bins - 1)
        shares.append(torch.bincount(in_bin, minlength=bins).double() / len(one))
    return (edges[1:] + edges[:-1]) / 2, shares


class Wrong(NamedTuple):
    """An image on the wrong side of a detector's threshold."""

    number: int
    row: int
    score: float


def false_alarms(ids: dict[int, Tensor], threshold: float) -> list[Wrong]:
    """The ID images with the lowest scores below the threshold, the lowest first.

    Args:
        ids: scores by the number of the set.
        threshold: the lowest score that is accepted.
    """
    return sorted(_extreme(ids, threshold, lowest=True), key=lambda wrong: wrong.score)[:PICTURES]


def misses(oods: dict[int, Tensor], threshold: float) -> list[Wrong]:
    """The OOD images with the highest scores that the threshold accepts, the highest first."""
    return sorted(_extreme(oods, threshold, lowest=False), key=lambda wrong: -wrong.score)[:PICTURES]


def _extreme(scores: dict[int, Tensor], threshold: float, *, lowest: bool) -> list[Wrong]:
    wrong = []
    for number, one in scores.items():
        values, rows = one.topk(min(PICTURES, len(one)), largest=not lowest)
        pairs = zip(rows.tolist(), values.tolist(), strict=True)
        wrong += [Wrong(number, row, score) for row, score in pairs if (score < threshold) == lowest]
    return wrong


def log_panels(trainer: L.Trainer, module: Any, data: EvalData) -> None:
    """Show histograms and ROC curves of every detector, and what the first one gets wrong at 95 % of the ID images.

    Args:
        trainer: of the run.
        module: a :class:`~ood_lightning.modules.detect.DetectModule` whose test has ended.
        data: of the run.
    """
    if not is_shown(trainer) or not module.scorers:
        return

    names = [scored.name for scored in module.scores]
    roles = [scored.role for scored in module.scores]
    id_number = roles.index("id")
    for column, detector in enumerate(module.scorers):
        scores = [scored.scores.rows(0, len(scored.keys))[column] for scored in module.scores]
        middles, shares = histograms(scores)
        series = {name: (middles.tolist(), share.tolist()) for name, share in zip(names, shares, strict=True)}
        log_lines(trainer, f"test/scores/{detector}", f"scores of {detector}", "score", series)

        oods = {number: one for number, one in enumerate(scores) if roles[number] == "ood"}
        curves = {names[number]: roc_curve(scores[id_number], one) for number, one in oods.items()}
        series = {name: (fpr.tolist(), tpr.tolist()) for name, (fpr, tpr) in curves.items()}
        log_lines(
            trainer, f"test/roc/{detector}", f"{names[id_number]} under {detector}", "false positive rate", series
        )

        if column == 0:
            threshold = float(id_threshold(scores[id_number].sort().values))
            _log_wrong(
                trainer, "test/false_alarms", false_alarms({id_number: scores[id_number]}, threshold), module, data
            )
            _log_wrong(trainer, "test/misses", misses(oods, threshold), module, data)


def _log_wrong(trainer: L.Trainer, name: str, wrong: Sequence[Wrong], module: Any, data: EvalData) -> None:
    """A table of images with their sets, scores and nearest words."""
    images: dict[tuple[int, int], Image.Image] = {}
    for number in {one.number for one in wrong}:
        of_set = data.sets[number]
        rows = {one.row for one in wrong if one.number == number}
        images |= {(number, row): image for row, image in images_at(of_set.manifest, rows, of_set.features.bad).items()}

    cells = []
    for number, row, score in wrong:
        scored = module.scores[number]
        nearest = scored.scores.rows(row, row + 1)[-2:, 0].int().tolist()
        words = [texts[i] if i >= 0 else "" for texts, i in zip(scored.texts, nearest, strict=True)]
        cells.append([images[number, row], scored.name, scored.keys[row], score, *words])
    log_picture_table(trainer, name, COLUMNS, cells)
