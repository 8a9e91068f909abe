"""Results on the terminal: the first ID set in full, the others by their means; nothing is cut to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable

from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import Result
from ood_lightning.report.lost import FEW, lost_pictures
from ood_lightning.report.remarks import metric_lines, remarks
from ood_lightning.report.tables import (
    CONVENTION,
    OURS,
    Table,
    comparison_table,
    grid,
    kinds,
    over_orders,
    percent,
    shift_table,
    shown_metrics,
    summary_table,
)

MOST = 6  # detectors whose single sets are shown with both FPR95s
WIDTH = 160  # columns where no terminal says


def print_results(
    results: Sequence[Result],
    comparisons: Sequence[Comparison] = (),
    about: Mapping[str, Any] | None = None,
) -> None:
    """Print single sets, means of the other ID sets, the means with their intervals, and comparisons.

    Detectors that learn from the test stream have tables of their own.

    Args:
        results: of single sets, and means that lend their intervals.
        comparisons: of label-free with names-based detectors.
        about: what the run was; detectors that could not run, remarks and pictures that were left out are shown.
    """
    console = Console(width=None if Console().is_terminal else WIDTH)
    shown = [table for some, how in kinds(results) for table in _tables(some, how, comparisons)]
    print_tables(shown, console)
    if len({result.detector for result in results if not result.stream}) > MOST:
        console.print(f"  More than {MOST} detectors: both FPR95s of single sets are in results.csv and results.md.")
    for name, reason in (about or {}).get("not_run", {}).items():
        console.print(f"  {name}: not run, {reason}")
    print_remarks(about or {}, console)
    for line in [CONVENTION, *metric_lines(about or {})]:
        console.print(line, style="dim", highlight=False, markup=False)


def print_remarks(about: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what must be known beside the rows; of a set's pictures that were left out, the first few."""
    for line in [*remarks(about), *lost_pictures(about.get("bad_samples", {}), FEW)]:
        (console or Console()).print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _tables(some: Sequence[Result], how: str, comparisons: Sequence[Comparison]) -> list[Table]:
    """What is shown of detectors of one kind."""
    id_set, both = some[0].id_set, over_orders(how, "auroc")
    if len({result.detector for result in some}) > MOST:
        sets = [Table(f"ID set {id_set}: AUROC (%){both}", grid(some, id_set, lambda r: percent(r, "auroc")))]
    else:
        sets = [Table(f"ID set {id_set}: AUROC / {OURS} (%){both}", grid(some, id_set))]
        for metric, heading in shown_metrics(some).items():
            if metric not in ("auroc", OURS):
                lines = grid(some, id_set, lambda r, m=metric: percent(r, m))  # type: ignore[misc]
                sets.append(Table(f"ID set {id_set}: {heading} (%){over_orders(how, metric)}", lines))
    compared = [] if how else comparison_table(comparisons, id_set)
    return [*sets, *shift_table(some, how), summary_table(some, id_set, how), *compared]


def print_tables(tables: Sequence[Table], console: Console | None = None) -> None:
    """Print tables; one that is wider than the terminal goes on below itself."""
    console = console or Console(width=None if Console().is_terminal else WIDTH)
    for table in tables:
        for i, lines in enumerate(fitted(table.lines, console.width)):
            console.print(table.title + " (continued)" * (i > 0), style="italic", highlight=False)
            told = RichTable(box=SIMPLE, show_edge=False)
            for j, name in enumerate(lines[0]):
                told.add_column(name, justify="right" if j else "left", overflow="fold")
            for line in lines[1:]:
                told.add_row(*line)
            console.print(told)
            console.print()
        if table.note:
            console.print(table.note + "\n", style="dim", highlight=False)


def fitted(lines: list[list[str]], width: int) -> list[list[list[str]]]:
    """A table's columns shared out over tables that fit, each beginning with the first column.

    Args:
        lines: the header first.
        width: of the terminal; a column that is too wide even beside the first alone is left to wrap.
    """
    widths = [max(cell_len(line[j]) for line in lines) + 3 for j in range(len(lines[0]))]
    parts, room = [[0]], width - widths[0]
    left = room
    for j in range(1, len(widths)):
        if widths[j] > left and len(parts[-1]) > 1:
            parts.append([0])
            left = room
        parts[-1].append(j)
        left -= widths[j]
    return [[[line[j] for j in part] for line in lines] for part in parts]
