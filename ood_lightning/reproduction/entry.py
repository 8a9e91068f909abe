"""One number of an item: ours, the published one, and what to say of the two. Needs no torch."""

from dataclasses import dataclass

from ood_lightning.metrics.results import Estimate
from ood_lightning.reproduction.cells import AS_THEY_ARE

NEAR = 0.5  # points
INSIDE, WITHIN, DIFFERS = "inside the interval", "within 0.5 points", "differs"


@dataclass(frozen=True)
class Entry:
    """One number of a panel.

    Args:
        panel: its place among the item's panels, from 0.
        row: as it is printed.
        column: as it is printed.
        measure: what it is.
        ours: value and interval in the units that are printed; None: not run.
        missing: why it was not run.
        printed: what the paper prints there; None: nothing, or this is a twin.
        convention: the rule of an FPR95, of both numbers; empty for other measures.
        quoted: the paper quotes the number.
        supervision: what the detector was given.
        bins: counts, where the number is the mean of a histogram.
    """

    panel: int
    row: str
    column: str
    measure: str
    ours: Estimate | None
    missing: str = ""
    printed: float | None = None
    convention: str = ""
    quoted: bool = False
    supervision: tuple[str, ...] = ()
    bins: tuple[int, ...] = ()

    @property
    def difference(self) -> float | None:
        """Ours minus the published one, both as they are printed; None where one is missing."""
        if self.ours is None or self.printed is None:
            return None
        return round(round(self.ours.value, 2) - self.printed, 2)

    @property
    def verdict(self) -> str:
        """How the two compare; empty where one is missing.

        Example:
            >>> Entry(0, "a", "b", "auroc", Estimate(94.2, 93.9, 94.5), printed=94.56).verdict
            'within 0.5 points'
        """
        if self.ours is None or self.printed is None or self.difference is None:
            return ""
        interval = self.ours.interval
        if interval is not None and interval[0] <= self.printed <= interval[1]:
            return INSIDE
        is_near = self.measure not in AS_THEY_ARE and abs(self.difference) <= NEAR
        return WITHIN if is_near or self.difference == 0 else DIFFERS
