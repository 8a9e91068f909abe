"""What a change of a label set, or of a set of pictures, did: tables for the terminal and sheets for files."""

from collections.abc import Sequence
from typing import NamedTuple

from ood_lightning.metrics.changes import Change
from ood_lightning.metrics.results import MEAN
from ood_lightning.plurals import many
from ood_lightning.report.tables import Table

NOTE = (
    "In percent, with the 95 % interval of the difference: both sides are measured on the same resamples. FPR95 is "
    "fpr_ood@id_tpr95."
)
COLUMNS = ("detector", "id_set", "ood_set", "metric", "before", "after", "difference", "low", "high")


def change_tables(changes: Sequence[Change]) -> list[Table]:
    """A table for each detector: the first ID set in full, of the others their means."""
    by_detector: dict[str, dict[tuple[str, str], list[str]]] = {}
    for row in changes:
        if row.id_set == changes[0].id_set or row.ood_set == MEAN:
            pairs = by_detector.setdefault(row.detector, {})
            pairs.setdefault((row.id_set, row.ood_set), []).extend(_cells(row))  # AUROC first, then FPR95

    header = ["ID set", "OOD set", "AUROC before", "after", "difference", "FPR95 before", "after", "difference"]
    return [
        Table(f"{detector}, before and after", [header, *([*pair, *cells] for pair, cells in pairs.items())], NOTE)
        for detector, pairs in by_detector.items()
    ]


def _cells(row: Change) -> list[str]:
    ends = f"[{100 * row.low:+.2f}, {100 * row.high:+.2f}]"
    return [f"{100 * row.before:.2f}", f"{100 * row.after:.2f}", f"{100 * row.difference:+.2f} {ends}"]


def change_rows(changes: Sequence[Change]) -> list[Sequence[object]]:
    """Rows of a sheet, the header first; fractions."""
    values = [
        (c.detector, c.id_set, c.ood_set, c.metric, c.before, c.after, c.difference, c.low, c.high) for c in changes
    ]
    return [COLUMNS, *values]


class Decided(NamedTuple):
    """A picture that is accepted on one side of a change alone.

    Attributes:
        detector: that decides.
        dataset: the picture's set.
        role: `id`, `covariate` or `ood`.
        key: the picture.
        before: its score minus the threshold that keeps 95 % of the ID pictures, nats; accepted from 0 on.
        after: the same afterwards.
        nearest: its nearest positive afterwards.
    """

    detector: str
    dataset: str
    role: str
    key: str
    before: float
    after: float
    nearest: str


def decided_table(decided: Sequence[Decided], n_shown: int) -> Table:
    """The pictures whose decision changed, the first few.

    Args:
        decided: those that moved farthest first.
        n_shown: lines.
    """
    header = ["picture", "set", "was", "is", "score - threshold before", "after", "nearest positive"]
    lines = [
        [
            one.key,
            f"{one.dataset} ({one.role})",
            *("accepted" if margin >= 0 else "rejected" for margin in (one.before, one.after)),
            f"{one.before:+.3f}",
            f"{one.after:+.3f}",
            one.nearest,
        ]
        for one in decided[:n_shown]
    ]

    n_more = len(decided) - n_shown
    more = f"{many(n_more, 'further picture')} in changed_pictures.csv." if n_more > 0 else ""
    return Table(f"{many(len(decided), 'picture')} decided otherwise", [header, *lines], more)
