"""One table of all detectors by what they were given, with differences to chosen ones."""

from collections.abc import Sequence

from ood_lightning.metrics.against import Against
from ood_lightning.metrics.results import Estimate
from ood_lightning.report.tables import OURS, Table


def against_table(rows: Sequence[Against], references: Sequence[str]) -> Table:
    """Means over the OOD sets; detectors that learn from the test stream say so in their supervision."""
    header = ["detector", "supervision", "AUROC", OURS, *(f"minus {name}" for name in references)]
    lines = [
        [row.detector, "+".join(row.supervision) or "-", _percent(row.auroc), _percent(row.fpr)]
        + [_difference(row, name) for name in references]
        for row in rows
    ]
    n = rows[0].resamples
    note = (
        f"In percent, with 95 % bootstrap intervals; differences of the mean AUROC in points, two-sided p by paired "
        f"bootstrap ({n:,} resamples, least possible {2 / (n + 1):.3f}), not corrected for their number. Of a test "
        f"stream, means over orders; images keep the scores of the stream that they were in."
    )
    return Table(f"ID set {rows[0].id_set}: mean over the OOD sets, by supervision", [header, *lines], note)


def _percent(estimate: Estimate) -> str:
    low, high = estimate.interval or (estimate.value, estimate.value)
    return f"{100 * estimate.value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _difference(row: Against, reference: str) -> str:
    if reference not in row.differences:
        return ""
    difference = row.differences[reference]
    return f"{100 * difference.value:+.2f}, p = {difference.p_value:.3f}"
