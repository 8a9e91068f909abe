"""Tables under another paper's FPR95, computed from stored scores, to compare a number with a published one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.metrics.results import Result, means, single
from ood_lightning.report.tables import Table, grid, percent

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[str, str, str]  # detector, ID set, OOD set


def convention_fprs(folder: Path, rows: Sequence[Result], prefix: str, convention: str) -> dict[Pair, float]:
    """FPR95 by a convention, from a run's stored scores, by detector, ID set and OOD set.

    One detector's scores are in memory at a time. Detectors that learn from the test stream are left out: their scores
    are not stored.

    Args:
        folder: of the run.
        rows: its results.
        prefix: what was put before the names of its detectors.
        convention: of :data:`ood_lightning.functional.conventions.CONVENTIONS`.

    Raises:
        SettingsError: there is no such convention.
        SourceError: the file does not hold what the run's results were computed from.
    """
    from ood_lightning.data.artifacts.scores import StoredScores

    metric = _convention(convention)[0]
    path = folder / "scores.parquet"
    stored = StoredScores(path)
    names = {prefix + name: name for name in stored.detectors}
    by_detector: dict[str, list[Result]] = {}
    for row in single(rows):
        if not row.stream:
            by_detector.setdefault(row.detector, []).append(row)

    fprs = {}
    for detector, of_detector in by_detector.items():
        scores = stored.column(names[detector]) if detector in names else {}
        for row in of_detector:
            if not {row.id_set, row.ood_set} <= scores.keys():
                raise SourceError(
                    f"{path} lacks scores of {row.detector} on {row.id_set} or {row.ood_set}: run `test` again"
                )
            fprs[detector, row.id_set, row.ood_set] = float(metric(scores[row.id_set], scores[row.ood_set], 0.95))

    return fprs


def convention_tables(results: Sequence[Result], fprs_of_pairs: Mapping[Pair, float], convention: str) -> list[Table]:
    """A table for each ID set: AUROC and the FPR95 of a convention, which the title names.

    Args:
        results: of single sets. Detectors that learn from the test stream are left out: their scores are not stored.
        fprs_of_pairs: see :func:`convention_fprs`.
        convention: of :data:`ood_lightning.functional.conventions.CONVENTIONS`.

    Raises:
        SettingsError: there is no such convention, or no detector whose scores are stored.
    """
    description = _convention(convention)[1]

    static = [result for result in single(results) if not result.stream]
    streams = ", ".join(dict.fromkeys(result.detector for result in results if result.stream))
    if not static:
        raise SettingsError(f"all detectors learn from the test stream ({streams}): their scores are not stored")

    fprs = {r: fprs_of_pairs[r.detector, r.id_set, r.ood_set] for r in static}
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


def _convention(name: str) -> tuple[Callable[[Tensor, Tensor, float], Tensor], str]:
    """The function of a convention, and the words of a table's caption."""
    from ood_lightning.functional.conventions import CONVENTIONS

    if name not in CONVENTIONS:
        raise SettingsError(f"there is no convention {name!r}: expected one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
