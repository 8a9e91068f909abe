"""Writes what an evaluation found: scores as Parquet, results as JSON and CSV, and the table that people read."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from ood_lightning import __version__
from ood_lightning.callbacks.wandb import log_file, log_table
from ood_lightning.data.files import atomic_write
from ood_lightning.data.scores import write_scores
from ood_lightning.metrics.results import means
from ood_lightning.report.tables import print_results, write_results


class ResultsWriter(L.Callback):
    """`scores.parquet`, `results.json`, `results.csv`, `labels/NAME.json` and a table on the terminal."""

    def on_test_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        if not trainer.is_global_zero:
            return
        out = Path(trainer.default_root_dir)
        write_scores(out / "scores.parquet", list(module.scorers), module.scores)
        for name, label_set in module.label_sets.items():
            label_set.write(out / "labels" / f"{name}.json")
        about = {
            "encoder": module.encoder.name,
            "corpus": module.corpus.load().name,
            "versions": {name: version(name) for name in ("torch", "open_clip_torch")} | {"ood_lightning": __version__},
            "not_run": module.not_run,
            "streams": asdict(module.protocol) if module.streams else None,
            "bad_samples": {s.features.name: s.features.bad for s in trainer.datamodule.sets if s.features.bad},  # type: ignore[attr-defined]
        }
        write_results(out, module.results, about)
        atomic_write(out / "DONE", b"")  # exit states can lie, on clusters most of all; a collector looks for this
        rows = [r.to_row() for r in [*module.results, *means(module.results)]]
        log_table(trainer, "test/results", list(rows[0]), [list(row.values()) for row in rows])
        log_file(trainer, out / "results.csv", "results", "results")
        print_results(module.results, module.not_run)
        print(f"results: {out / 'results.csv'}, scores: {out / 'scores.parquet'}")
