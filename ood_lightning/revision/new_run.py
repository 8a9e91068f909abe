"""A run's folder as `test` leaves it, of the detectors that were scored anew under an edited label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from ood_lightning import __version__
from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.artifacts.files import atomic_write, sole_writer, sweep
from ood_lightning.data.artifacts.scores import SetScores, write_scores
from ood_lightning.functional.bootstrap import Resampled
from ood_lightning.hashes import run_hash
from ood_lightning.metrics.changes import Change, changes_on
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import Result, evaluate
from ood_lightning.report.one_run import DONE
from ood_lightning.report.stored import SETTINGS, write_results
from ood_lightning.revision.stored_run import pairs_of
from ood_lightning.revision.words import Edition, SetAfter


class Rows(NamedTuple):
    """Scores of a set in memory, float64, shape (K, n)."""

    values: Tensor

    def rows(self, start: int, stop: int) -> Tensor:
        """See :class:`ood_lightning.data.artifacts.scores.ScoreRows`."""
        return self.values[:, start:stop]


def write_run(
    folder: Path,
    edition: Edition,
    sets: Sequence[EvalSet],
    after: Sequence[SetAfter],
    config: dict[str, Any],
    resamples: int,
    seed: int,
) -> list[Change]:
    """Write label set, scores, results and settings; `DONE` comes last.

    Args:
        folder: where to.
        edition: the edited label set.
        sets: of the run.
        after: of each set, in the same order.
        config: of the run before.
        resamples: of the bootstrap, 1 or more.
        seed: of its draws.

    Returns:
        What changed of the results, with paired intervals.
    """
    run = _hash(edition, resamples, seed)
    detectors = list(edition.detectors)
    measured = _measured(edition, sets, {one.name: result.scores for one, result in zip(sets, after, strict=True)})
    results, changed = _compared(edition, sets, after, measured, resamples, seed)

    with sole_writer(folder):
        (folder / DONE).unlink(missing_ok=True)
        sweep(folder, {"scores.parquet"})
        label_set = folder / "labels" / f"{edition.name}.json"
        edition.after.write(label_set, run)
        write_scores(folder / "scores.parquet", detectors, _scores(edition, sets, after), run)
        write_results(folder, results, _metadata(edition, run))
        settings = yaml.safe_dump(_config(config, edition, folder, label_set), sort_keys=False, allow_unicode=True)
        atomic_write(folder / SETTINGS.replace("*", "0"), settings.encode())
        atomic_write(folder / DONE, f"{run}\n".encode())
    return changed


def _compared(
    edition: Edition,
    sets: Sequence[EvalSet],
    after: Sequence[SetAfter],
    measured: list[Result],
    resamples: int,
    seed: int,
) -> tuple[list[Result], list[Change]]:
    """Rows with intervals, then their means; and their differences to the run before, from the same resamples."""
    names, stored = list(edition.detectors), edition.run.scores
    before = {name: stored.column(name) for name in names}
    scores = {
        one.name: torch.cat([result.scores, torch.stack([before[name][one.name] for name in names])]).T
        for one, result in zip(sets, after, strict=True)
    }
    old = _measured(edition, sets, {name: of.T[len(names) :] for name, of in scores.items()})
    columns = {name: (len(names) + k, k) for k, name in enumerate(names)}
    changed: list[Change] = []

    def keep(id_set: str, ood_sets: list[str], drawn: Resampled) -> None:
        sides = [{(row.detector, row.ood_set): row for row in of if row.id_set == id_set} for of in (old, measured)]
        changed.extend(changes_on(id_set, ood_sets, columns, drawn, sides[0], sides[1]))

    results, _ = bootstrap(measured, scores, [*names, *names], resamples, seed, on_drawn=keep)
    return results, sorted(changed, key=lambda change: names.index(change.detector))


def _hash(edition: Edition, resamples: int, seed: int) -> str:
    """What the numbers depend on: the run before, the edited set, and the bootstrap."""
    return run_hash(
        {
            "run": edition.run.parts.metadata.get("run"),
            "label_sets": {edition.name: edition.after.sha256},
            "detectors": edition.detectors,
            "bootstrap": (resamples, seed),
            "version": __version__,
        }
    )


def _measured(edition: Edition, sets: Sequence[EvalSet], scores: Mapping[str, Tensor]) -> list[Result]:
    """Rows of single sets, without intervals, from scores (K, n) by set."""
    label_set = edition.after

    return [
        evaluate(
            name,
            id_set.name,
            ood_set.name,
            scores[id_set.name][k],
            scores[ood_set.name][k],
            supervision=tuple(sorted(detector.supervision.union(label_set.supervision))),
            group=ood_set.group,
            recipe=label_set.sha256,
            metrics=edition.run.metrics,
        )
        for k, (name, detector) in enumerate(edition.detectors.items())
        for id_set, ood_set in pairs_of(sets)
    ]


def _scores(edition: Edition, sets: Sequence[EvalSet], after: Sequence[SetAfter]) -> list[SetScores]:
    """Scores and nearest words of all sets, for the file."""
    texts = edition.ready.texts
    return [
        SetScores(
            one.name,
            one.role,
            one.features.keys,
            one.features.label,
            Rows(torch.cat([result.scores, torch.stack(result.nearest).double()])),
            texts,
        )
        for one, result in zip(sets, after, strict=True)
    ]


def _metadata(edition: Edition, run: str) -> dict[str, Any]:
    """`about` of the run before, with what was changed."""
    before = edition.run.parts.metadata
    change = edition.after.recipe["edited"]
    parts = [f"{side} {', '.join(map(repr, words))}" for side in ("dropped", "added") if (words := change[side])]
    remark = (
        f"label set {edition.name!r} of run {before.get('run', '') or edition.run.folder} with {' and '.join(parts)}; "
        f"its scores were moved, not computed anew"
    )
    return {
        **before,
        "run": run,
        "edited_from": before.get("run", ""),
        "not_run": edition.not_run,
        "remarks": [*before.get("remarks", ()), remark],
    }


def _config(config: dict[str, Any], edition: Edition, folder: Path, label_set: Path) -> dict[str, Any]:
    """Settings under which `test` computes these scores anew."""
    init_args = config["model"]["init_args"]
    old = init_args["label_sets"][edition.name]
    source: Any = str(label_set)
    if isinstance(old, dict) and str(old.get("class_path", "")).endswith(".WithCorpus"):
        source = {**old, "init_args": {**old["init_args"], "source": source}}

    detectors = {name: init_args["detectors"][name] for name in edition.detectors}
    changed = {"label_sets": {edition.name: source}, "detectors": detectors, "explain": edition.name, "streams": None}
    model = {**config["model"], "init_args": {**init_args, **changed}}
    trainer = {**config.get("trainer", {}), "default_root_dir": str(folder)}
    for logger in trainer.get("logger") or []:
        if isinstance(logger, dict) and "save_dir" in logger.get("init_args", {}):
            logger["init_args"]["save_dir"] = str(folder)
    return {**config, "trainer": trainer, "model": model}
