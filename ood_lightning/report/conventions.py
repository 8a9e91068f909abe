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


def stored_scores(folder: Path, rows: Sequence[Result], told: str) -> dict[tuple[str, str, str], tuple[Tensor, Tensor]]:
    """ID and OOD scores of a run by detector, ID set and OOD set.

    Args:
        folder: of the run.
        rows: its results.
        told: what was put before the names of its detectors.

    Raises:
        SourceError: the file does not hold what the run's results were computed from.
    """
    from ood_lightning.data.artifacts.scores import read_scores

    path = folder / "scores.parquet"
    detectors, scores = read_scores(path)
    columns = {told + name: k for k, name in enumerate(detectors)}
    found = {}
    for r in single(rows):
        if r.stream:
            continue
        if r.detector not in columns or not {r.id_set, r.ood_set} <= scores.keys():
            raise SourceError(f"{path} lacks scores of {r.detector} on {r.id_set} or {r.ood_set}: run `test` again")
        k = columns[r.detector]
        found[r.detector, r.id_set, r.ood_set] = scores[r.id_set][:, k], scores[r.ood_set][:, k]
    return found


def convention_tables(
    results: Sequence[Result], scores: Mapping[tuple[str, str, str], tuple[Tensor, Tensor]], convention: str
) -> list[Table]:
    """A table for each ID set: AUROC and the FPR95 of a convention, which the title names.

    Args:
        results: of single sets. Detectors that learn from the test stream are left out: their scores are not stored.
        scores: ID and OOD scores by detector, ID set and OOD set.
        convention: of :data:`ood_lightning.functional.conventions.CONVENTIONS`.

    Raises:
        SettingsError: there is no such convention, or no detector of whom scores are stored.
    """
    from ood_lightning.functional.conventions import CONVENTIONS

    if convention not in CONVENTIONS:
        raise SettingsError(f"there is no convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")
    metric, told = CONVENTIONS[convention]
    mine = [result for result in single(results) if not result.stream]
    streams = ", ".join(dict.fromkeys(result.detector for result in results if result.stream))
    if not mine:
        raise SettingsError(f"all detectors learn from the test stream ({streams}): their scores are not stored")
    found = {r: float(metric(*scores[r.detector, r.id_set, r.ood_set], 0.95)) for r in mine}
    for mean in means(mine):
        same = {r.ood_set: found[r] for r in mine if r.kind == mean.kind and mean.group in ("", r.group)}
        found[mean] = fmean(same.values())
    return [
        Table(
            f"ID set {id_set}: AUROC / FPR95 (%) by the convention {convention!r}: {told}",
            grid(mine, id_set, lambda r: f"{percent(r, 'auroc')} / {100 * found[r]:.2f}"),
            f"Without {streams}: the scores of test streams are not stored." if streams else "",
        )
        for id_set in dict.fromkeys(result.id_set for result in mine)
    ]
