"""What a change of the scores does to the results: before, after, and the interval of their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from ood_lightning.metrics.results import MEAN, Result

if TYPE_CHECKING:
    from ood_lightning.functional.bootstrap import Resampled

CHANGED = ("auroc", "fpr_ood@id_tpr95")


@dataclass(frozen=True)
class Change:
    """A metric of one detector on one pair of sets, before and after.

    Args:
        detector: its name.
        id_set: name of the ID set.
        ood_set: name of the OOD set, or ``"mean"``.
        metric: its name.
        before: a fraction.
        after: a fraction.
        low: lower end of the 95 % bootstrap interval of the difference; both are measured on the same resamples.
        high: upper end.
    """

    detector: str
    id_set: str
    ood_set: str
    metric: str
    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


def changes_on(
    id_set: str,
    ood_sets: Sequence[str],
    columns: Mapping[str, tuple[int, int]],
    drawn: Resampled,
    before: Mapping[tuple[str, str], Result],
    after: Mapping[tuple[str, str], Result],
) -> list[Change]:
    """Changes of every detector on one ID set: on each OOD set, and of the mean over these.

    Args:
        id_set: its name.
        ood_sets: names, in the order of the draws.
        columns: of each detector before and after, by its name.
        drawn: metrics on every resample, (R, sets, K).
        before: rows of single sets of this ID set, by detector and OOD set.
        after: the same afterwards.
    """
    from ood_lightning.functional.bootstrap import interval

    rows: list[Change] = []
    for detector, (first, second) in columns.items():
        for metric, values in zip(CHANGED, drawn, strict=False):
            differences = values[:, :, second] - values[:, :, first]  # (R, sets)
            ends = [interval(of_set) for of_set in (*differences.T, differences.mean(dim=1))]
            sides = [[of[detector, ood_set].metrics[metric].value for ood_set in ood_sets] for of in (before, after)]
            named = [*zip(ood_sets, *sides, strict=True), (MEAN, fmean(sides[0]), fmean(sides[1]))]
            rows += [
                Change(detector, id_set, name, metric, old, new, *its_ends)
                for (name, old, new), its_ends in zip(named, ends, strict=True)
            ]
    return rows
