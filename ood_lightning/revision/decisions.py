"""Which images are decided otherwise after a change of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ood_lightning.functional.ranked import id_threshold


class Decision(NamedTuple):
    """An image that is accepted on one side of the change alone.

    Attributes:
        dataset: name of its set.
        row: of the set.
        before: score minus threshold, nats; accepted from 0 on.
        after: the same afterwards.
    """

    dataset: str
    row: int
    before: float
    after: float

    @property
    def shift(self) -> float:
        """How far the image moved against the threshold."""
        return self.after - self.before


def changed_decisions(id_set: str, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[Decision]:
    """Images whose decision changed, at 95 % of the ID images, those that moved farthest first.

    Args:
        id_set: whose images set both thresholds.
        before: scores by set, each (n,).
        after: of the same images.
    """
    limits = [float(id_threshold(side[id_set].sort().values)) for side in (before, after)]
    changed = []
    for name in before:
        margins = before[name] - limits[0], after[name] - limits[1]
        rows = ((margins[0] >= 0) != (margins[1] >= 0)).nonzero()[:, 0].tolist()
        changed += [Decision(name, row, float(margins[0][row]), float(margins[1][row])) for row in rows]
    return sorted(changed, key=lambda decision: (-abs(decision.shift), decision.dataset, decision.row))
