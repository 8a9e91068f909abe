"""Results on the terminal: the first ID set in full, the others by their means; nothing is cut to fit."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console

from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import Result
from ood_lightning.report.console import console
from ood_lightning.report.console import table as rich_table
from ood_lightning.report.remarks import FEW, lost_pictures, metric_lines, remarks
from ood_lightning.report.tables import (
    CONVENTION,
    OURS,
    Table,
    comparison_table,
    grid,
    kinds,
    metric_table,
    shift_table,
    shown_metrics,
    summary_table,
    title_of_sets,
)

MOST = 6  # with more detectors than this, single sets are shown with their AUROC alone
GAP = 3  # columns that rich puts between two cells


def print_results(
    results: Sequence[Result],
    comparisons: Sequence[Comparison] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Print single sets, means of the other ID sets, the means with their intervals, and comparisons.

    Detectors that learn from the test stream have tables of their own.

    Args:
        results: of single sets, and means that have intervals of their own.
        comparisons: of label-free with names-based detectors.
        metadata: `about` of `results.json`; detectors that could not run, remarks and images that were left out are
            printed.
    """
    metadata = metadata or {}
    out = console()
    print_tables([table for kind in kinds(results) for table in _tables(*kind, comparisons)])

    if len({result.detector for result in results if not result.stream}) > MOST:
        out.print(f"  More than {MOST} detectors: both FPR95s of single sets are in results.csv and results.md.")
    for name, reason in metadata.get("not_run", {}).items():
        out.print(f"  {name}: not run, {reason}")
    print_remarks(metadata)
    for line in [CONVENTION, *metric_lines(metadata)]:
        out.print(line, style="dim")


def print_remarks(metadata: Mapping[str, Any]) -> None:
    """Print what must be known beside the rows; of a set's images that were left out, the first few."""
    for line in [*remarks(metadata), *lost_pictures(metadata, FEW)]:
        console().print(f"  {line}", soft_wrap=True)


def _tables(rows: Sequence[Result], title_end: str, comparisons: Sequence[Comparison]) -> list[Table]:
    """Tables of detectors that share them."""
    id_set = rows[0].id_set

    if len({result.detector for result in rows}) > MOST:
        tables = [metric_table(rows, id_set, "auroc", title_end)]
    else:
        further = [metric for metric in shown_metrics(rows) if metric not in ("auroc", OURS)]
        tables = [Table(title_of_sets(id_set, "auroc", f"AUROC / {OURS}", title_end), grid(rows, id_set))]
        tables += [metric_table(rows, id_set, metric, title_end) for metric in further]

    tables += [*shift_table(rows, title_end), summary_table(rows, id_set, title_end)]
    if not title_end:
        tables += comparison_table(comparisons, id_set)
    return tables


def print_tables(tables: Sequence[Table], out: Console | None = None) -> None:
    """Print tables; one that is wider than the terminal goes on below itself."""
    out = out or console()
    for table in tables:
        for i, (header, *rows) in enumerate(fitted(table.lines, out.width)):
            out.print(f"{table.title} (continued)" if i else table.title, style="italic")
            out.print(rich_table("", header, rows, show_edge=False))
            out.print()

        if table.note:
            out.print(table.note + "\n", style="dim")


def fitted(lines: list[list[str]], width: int) -> list[list[list[str]]]:
    """A table's columns shared out over tables that fit, each beginning with the first column.

    Args:
        lines: the header first.
        width: of the terminal; a column that is too wide even beside the first alone is left to wrap.
    """
    widths = [max(cell_len(cell) for cell in column) + GAP for column in zip(*lines, strict=True)]

    parts = [[0]]
    for j in range(1, len(widths)):
        if sum(widths[k] for k in (*parts[-1], j)) > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(j)

    return [[[line[j] for j in part] for line in lines] for part in parts]
