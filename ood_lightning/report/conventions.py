"""Tables under another paper's FPR95, computed from stored scores, to compare a number with a published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.metrics.results import Result, means, single
from ood_lightning.report.tables import Table, grid, percent

if TYPE_CHECKING:
    from torch import Tensor

    Pair = tuple[str, str, str]  # detector, ID set, OOD set


def stored_scores(folder: Path, rows: Sequence[Result], prefix: str) -> dict[Pair, tuple[Tensor, Tensor]]:
    """ID and OOD scores of a run by detector, ID set and OOD set.

    Args:
        folder: of the run.
        rows: its results.
        prefix: what was put before the names of its detectors.

    Raises:
        SourceError: the file does not hold what the run's results were computed from.
    """
    from ood_lightning.data.artifacts.scores import read_scores

    path = folder / "scores.parquet"
    detectors, scores = read_scores(path)
    columns = {prefix + name: k for k, name in enumerate(detectors)}

    pairs = {}
    for row in [row for row in single(rows) if not row.stream]:
        if row.detector not in columns or not {row.id_set, row.ood_set} <= scores.keys():
            raise SourceError(
                f"{path} lacks scores of {row.detector} on {row.id_set} or {row.ood_set}: run `test` again"
            )
        k = columns[row.detector]
        pairs[row.detector, row.id_set, row.ood_set] = scores[row.id_set][:, k], scores[row.ood_set][:, k]
    return pairs


def convention_tables(
    results: Sequence[Result], scores: Mapping[Pair, tuple[Tensor, Tensor]], convention: str
) -> list[Table]:
    """A table for each ID set: AUROC and the FPR95 of a convention, which the title names.

    Args:
        results: of single sets. Detectors that learn from the test stream are left out: their scores are not stored.
        scores: ID and OOD scores by detector, ID set and OOD set.
        convention: of :data:`ood_lightning.functional.conventions.CONVENTIONS`.

    Raises:
        SettingsError: there is no such convention, or no detector whose scores are stored.
    """
    from ood_lightning.functional.conventions import CONVENTIONS

    if convention not in CONVENTIONS:
        raise SettingsError(f"there is no convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")
    metric, description = CONVENTIONS[convention]

    static = [result for result in single(results) if not result.stream]
    streams = ", ".join(dict.fromkeys(result.detector for result in results if result.stream))
    if not static:
        raise SettingsError(f"all detectors learn from the test stream ({streams}): their scores are not stored")

    fprs = {r: float(metric(*scores[r.detector, r.id_set, r.ood_set], 0.95)) for r in static}
    for mean in means(static):
        members = {r.ood_set: r for r in static if r.kind == mean.kind and mean.group in ("", r.group)}
        fprs[mean] = fmean(fprs[r] for r in members.values())

    return [
        Table(
            f"ID set {id_set}: AUROC / FPR95 (%) by the convention {convention!r}: {description}",
            grid(static, id_set, lambda r: f"{percent(r, 'auroc')} / {100 * fprs[r]:.2f}"),
            f"Without {streams}: the scores of test streams are not stored." if streams else "",
        )
        for id_set in dict.fromkeys(result.id_set for result in static)
    ]
