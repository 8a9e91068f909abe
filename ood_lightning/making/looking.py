"""What a person looks at when a run has ended: the reasons of its pictures, and the page."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from torch import Tensor

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.making.pictures import Pictures
from ood_lightning.making.scoring import Bound
from ood_lightning.page.write import PAGE, write_page
from ood_lightning.reasons.collect import Explained, Threshold, collect
from ood_lightning.reasons.pictures import ScoredSet
from ood_lightning.reasons.stored import write_reasons
from ood_lightning.reasons.thumbnails import Opened, ShownSet


def part_of(everything: Pictures, rows: Tensor, images: FeatureSet) -> ShownSet:
    """Some of a run's pictures, read from the sources that they come from.

    Args:
        everything: all pictures.
        rows: int64, of the pictures.
        images: features of this part.
    """
    sources = [ShownSet(one) for one in everything.sources]
    starts = list(accumulate((len(one.features) for one in everything.sources), initial=0))

    def read(of_part: Collection[int]) -> Iterator[Opened]:
        position = {int(rows[row]): row for row in of_part}
        for number, source in enumerate(sources):
            start = starts[number]
            due = [row - start for row in position if bisect_right(starts, row) - 1 == number]
            for opened in source.opened(set(due)):
                yield opened._replace(row=position[opened.row + start])

    return ShownSet(images, read)


def write_looks(
    folder: Path,
    bound: Bound,
    sets: Sequence[ScoredSet],
    mined_from: ShownSet,
    calibration: Calibration,
) -> Path:
    """Write the reasons and the page of a run.

    Args:
        folder: of the run.
        bound: its detector.
        sets: with their scores, the held-out ID images first.
        mined_from: the images that were learned from; words are shown with them.
        calibration: of the detector.

    Returns:
        The page.
    """
    detector = bound.detector
    threshold, statements = None, calibration.statements()
    if math.isfinite(calibration.threshold):
        threshold = Threshold(
            calibration.threshold, f"was set to accept {100 * calibration.tpr:.10g} % of new ID pictures"
        )
    else:
        statements.append(
            "The run has no threshold, so the page begins at one of its own: the strictest that keeps 95 % of the "
            "pictures that were set apart."
        )

    what = Explained(type(detector).__name__, detector, detector.labels, bound.ready)
    write_reasons(folder, collect(what, sets, mined_from, threshold, statements=statements))
    write_page([folder], folder / PAGE)
    return folder / PAGE
