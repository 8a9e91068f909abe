"""A result as a flat row of `results.csv` and `results.json`, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from ood_lightning.metrics.columns import ESTIMATE_PARTS, ROW_COLUMNS, parts_of
from ood_lightning.metrics.results import Estimate, Result

_PLAIN = ("detector", "id_set", "ood_set", "n_id", "n_ood", "stream", "group", "recipe", "orders", "resamples")
_STANDARD = [column for column, kind in ROW_COLUMNS.items() if kind is float]  # values of the standard metrics


def to_row(result: Result) -> dict[str, Any]:
    """The columns of :data:`~ood_lightning.metrics.columns.ROW_COLUMNS`, then those of further metrics."""
    cells = dict.fromkeys(ROW_COLUMNS) | {column: getattr(result, column) for column in _PLAIN}
    cells["supervision"] = "+".join(result.supervision)
    for name, estimate in result.metrics.items():
        cells[name] = estimate.value
        cells |= {f"{name}_{part}": getattr(estimate, part) for part in parts_of(name)}

    return cells


def from_row(row: Mapping[str, Any]) -> Result:
    """A result from a row whose columns were checked: those of :data:`ROW_COLUMNS`, and of further metrics.

    Optional columns may be missing; a further metric that is None does not belong to this row.
    """
    metrics = {
        name: Estimate(row[name], **{part: row.get(f"{name}_{part}") for part in parts_of(name)})
        for name in [*_STANDARD, *further_metrics(row)]
        if row[name] is not None
    }

    plain: dict[str, Any] = {column: row.get(column) for column in _PLAIN}
    return Result(metrics=metrics, supervision=tuple(filter(None, row["supervision"].split("+"))), **plain)


def further_metrics(columns: Iterable[str]) -> dict[str, set[str]]:
    """Metrics beyond the standard ones, with their columns: the value, and all parts, without which it is no metric."""
    present = dict.fromkeys(columns)
    with_parts = {name: {name, *(f"{name}_{part}" for part in ESTIMATE_PARTS)} for name in present}
    return {name: parts for name, parts in with_parts.items() if name not in ROW_COLUMNS and parts <= present.keys()}
