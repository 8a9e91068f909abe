"""The tables of the page: printed ones as lines of cells, and the large one as numbers that a person turns around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ood_lightning.errors import UserError
from ood_lightning.metrics.results import MEAN, means, single
from ood_lightning.page.runs import SCORES, PageRun
from ood_lightning.report.tables import Table, comparison_table, kinds, shift_table, shown_metrics, summary_table

if TYPE_CHECKING:
    from ood_lightning.metrics.intervals import Comparison
    from ood_lightning.metrics.results import Result

Fprs = dict[str, dict[tuple[str, str, str], float]]  # by convention, then by detector, ID set and OOD set


def printed_tables(results: Sequence[Result], comparisons: Sequence[Comparison]) -> list[Table]:
    """Means with intervals of each ID set, differences with p-values, and what a shift of style costs."""
    tables: list[Table] = []
    for rows, title_end in kinds(results):
        for id_set in dict.fromkeys(row.id_set for row in rows):
            tables.append(summary_table(rows, id_set, title_end))
            if not title_end:
                tables += comparison_table(comparisons, id_set)
        tables += shift_table(rows, title_end)
    return tables


def by_conventions(runs: Sequence[PageRun], prefixes: Sequence[str]) -> tuple[Fprs, list[str]]:
    """FPR95 as other papers count it, from the stored scores of all runs that have some.

    Args:
        runs: of the page.
        prefixes: before the names of each run's detectors.

    Returns:
        The FPRs, and a remark for each run whose scores say nothing.
    """
    from ood_lightning.functional.conventions import CONVENTIONS
    from ood_lightning.report.conventions import convention_fprs

    fprs: Fprs = {name: {} for name in CONVENTIONS if name != "ours"}
    remarks = []
    for run, prefix in zip(runs, prefixes, strict=True):
        rows = run.prefixed(prefix)[0]
        if not rows or not (run.folder / SCORES).is_file():
            continue
        try:
            for name, of_pairs in fprs.items():
                of_pairs |= convention_fprs(run.folder, rows, prefix, name)
        except UserError as error:
            remarks.append(f"{run.name}: no other papers' conventions: {error}")
    return fprs, remarks


def grid_of(results: Sequence[Result], fprs: Fprs) -> list[dict[str, Any]]:
    """For each ID set the numbers of every detector, OOD set and metric, as plain data.

    Args:
        results: of single sets and means, of all runs.
        fprs: see :func:`by_conventions`.
    """
    return [_grid(results, id_set, fprs) for id_set in dict.fromkeys(row.id_set for row in results)]


def _grid(results: Sequence[Result], id_set: str, fprs: Fprs) -> dict[str, Any]:
    of_id_set = [row for row in results if row.id_set == id_set]
    of_single_sets = single(of_id_set)
    groups = {row.ood_set: row.group for row in of_single_sets}
    columns: list[dict[str, Any]] = [{"name": MEAN, "group": "", "mean": True}]
    for group in dict.fromkeys(groups.values()):
        columns += [{"name": name, "group": group, "mean": False} for name, one in groups.items() if one == group]
        if group:
            columns.append({"name": f"{MEAN} {group}", "group": group, "mean": True})

    rows: dict[str, dict[str, Any]] = {}
    for result in [*of_single_sets, *means(of_id_set)]:
        row = rows.setdefault(
            result.detector,
            {
                "detector": result.detector,
                "supervision": list(result.supervision),
                "stream": result.stream,
                "cells": {},
            },
        )
        column = f"{MEAN} {result.group}".strip() if result.ood_set == MEAN else result.ood_set
        for metric, estimate in result.metrics.items():
            values = [estimate.value, estimate.low, estimate.high, estimate.std]
            row["cells"].setdefault(metric, {})[column] = values

    for name, of_pairs in fprs.items():
        for detector, row in rows.items():
            if cells := _of_convention(of_pairs, detector, id_set, groups):
                row["cells"][f"fpr95 {name}"] = cells
    return {"id_set": id_set, "columns": columns, "rows": list(rows.values())}


def _of_convention(
    of_pairs: Mapping[tuple[str, str, str], float], detector: str, id_set: str, groups: Mapping[str, str]
) -> dict[str, list[float | None]]:
    """A detector's FPRs by OOD set, with the means of groups and of all."""
    values = {name: of_pairs[key] for name in groups if (key := (detector, id_set, name)) in of_pairs}
    if len(values) < len(groups):
        return {}
    cells = dict(values)
    for group in dict.fromkeys(groups.values()):
        if group:
            cells[f"{MEAN} {group}"] = fmean(value for name, value in values.items() if groups[name] == group)
    cells[MEAN] = fmean(values.values())
    return {name: [value, None, None, None] for name, value in cells.items()}


def metrics_of(results: Sequence[Result], fprs: Fprs, titles: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the large table can show: key, name, explanation and direction.

    Args:
        results: of all runs.
        fprs: see :func:`by_conventions`.
        titles: `metrics` of a run's `about`.
    """
    from ood_lightning.functional.conventions import CONVENTIONS

    chosen = [
        {
            "key": name,
            "name": heading,
            "title": titles.get(name, {}).get("title", ""),
            "higher": bool(titles.get(name, {}).get("higher_is_better", name == "auroc")),
        }
        for name, heading in shown_metrics(results).items()
    ]
    chosen += [
        {"key": f"fpr95 {name}", "name": f"FPR95 as “{name}”", "title": CONVENTIONS[name][1], "higher": False}
        for name, of_pairs in fprs.items()
        if of_pairs
    ]
    return chosen
