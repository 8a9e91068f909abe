"""Writes what an evaluation found: scores as Parquet, results as JSON and CSV, and the table that people read."""

import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_only

from ood_lightning import __version__
from ood_lightning.callbacks.panels import log_panels
from ood_lightning.callbacks.wandb import log_file, log_memory, log_table
from ood_lightning.data.artifacts.files import atomic_write, sweep
from ood_lightning.data.artifacts.scores import write_scores
from ood_lightning.datamodules.contracts import EvalData, data_of
from ood_lightning.hashes import run_hash
from ood_lightning.metrics.intervals import Comparison, bootstrap
from ood_lightning.metrics.results import Result, means
from ood_lightning.metrics.rows import to_row
from ood_lightning.ranges import Range, Seed, in_range
from ood_lightning.report.one_run import DONE, sets_of_earlier_runs
from ood_lightning.report.stored import write_results
from ood_lightning.report.terminal import print_results


class ResultsWriter(L.Callback):
    """`scores.parquet`, `results.json`, `results.csv`, `results.md`, `labels/NAME.json` and tables on the terminal.

    Args:
        resamples: of the bootstrap behind intervals and p-values; 0 leaves both out.
        seed: of its draws.
    """

    @in_range
    def __init__(self, resamples: Annotated[int, Range(0, 1_000_000)] = 1000, seed: Seed = 0) -> None:
        self.resamples, self.seed = resamples, seed

    @rank_zero_only
    def on_test_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        out, data = Path(trainer.default_root_dir), data_of(trainer, EvalData, self)
        run = self._hash(module, data)
        sweep(out, {"scores.parquet"})
        write_scores(out / "scores.parquet", list(module.scorers), module.scores, run)
        for earlier in sets_of_earlier_runs(out, module.evidence.label_sets):
            earlier.unlink()
        for name, ready in module.evidence.label_sets.items():
            ready.label_set.write(out / "labels" / f"{name}.json", run)

        results: list[Result] = [*module.results, *means(module.results)]
        comparisons: list[Comparison] = []
        if self.resamples:
            # every resample is one of all detectors, so that here alone all scores are in memory: (n, K)
            of_detectors = slice(len(module.scorers))
            scores = {s.name: s.scores.rows(0, len(s.keys))[of_detectors].T for s in module.scores}
            results, comparisons = bootstrap(module.results, scores, list(module.scorers), self.resamples, self.seed)

        metadata = {"run": run, **self._metadata(module, data)}
        write_results(out, results, metadata, comparisons)
        # exit states can lie, on clusters most of all; a collector looks for this
        atomic_write(out / DONE, f"{run}\n".encode())

        rows = [to_row(result) for result in results]
        log_table(trainer, "test/results", list(rows[0]), [list(row.values()) for row in rows])
        label_sets = {f"label set {name}": one.label_set.sha256 for name, one in module.evidence.label_sets.items()}
        images = {f"features of {one.manifest.name}": one.manifest.fingerprint for one in data.sets}
        made_from = {"run": run, "encoder": module.encoder.fingerprint, **images, **label_sets}
        log_file(trainer, out / "results.csv", "results", "results", made_from)
        log_panels(trainer, module, data)
        log_memory(trainer)
        print_results(results, comparisons, metadata)
        print(f"results: {out / 'results.csv'}, scores: {out / 'scores.parquet'}")

    def _hash(self, module: Any, data: EvalData) -> str:
        """What the numbers depend on, as the run's hash: settings, and the hashes of what was read."""
        parts = ("encoder", "prompts", "sources", "detectors", "streams", "protocol", "gate", "explain", "metrics")
        sets = [(one.manifest.name, one.role, one.group, one.manifest) for one in data.sets]
        return run_hash(
            {
                **{part: getattr(module, part) for part in parts},
                "corpus": module.corpus.load().sha256,
                "label_sets": {name: ready.label_set.sha256 for name, ready in module.evidence.label_sets.items()},
                "sets": [*sets, data.id_train and data.id_train.manifest],
                "bad_samples": _bad_samples(data),
                "bootstrap": (self.resamples, self.seed),
                "seed": os.environ.get("PL_GLOBAL_SEED"),  # where `seed_everything` keeps it
                "version": __version__,
            }
        )

    def _metadata(self, module: Any, data: EvalData) -> dict[str, Any]:
        """What the numbers were made with; stored beside them as `about`."""
        metrics = {
            name: {"title": metric.title, "higher_is_better": metric.higher_is_better}
            for name, metric in module.metrics.items()
        }

        sets = [*data.sets, *([data.id_train] if data.id_train is not None else [])]
        metadata = {
            "encoder": module.encoder.name,
            "encoder_fingerprint": module.encoder.fingerprint,
            "device": _device_name(module.device),
            "sets": {one.manifest.name: one.manifest.fingerprint for one in sets},
            "corpus": module.corpus.load().name,
            "versions": {
                "torch": version("torch"),
                "open_clip_torch": version("open_clip_torch"),
                "ood_lightning": __version__,
            },
            "metrics": metrics,
            "top1": [{**asdict(accuracy), "passes": accuracy.passes} for accuracy in module.top1],
            "not_run": module.not_run,
            "bootstrap": {"resamples": self.resamples, "seed": self.seed} if self.resamples else None,
            "streams": asdict(module.protocol) if module.streams else None,
            "bad_samples": _bad_samples(data),
        }
        # only where there are some, so that other runs keep their bytes
        return {**metadata, "remarks": module.remarks} if module.remarks else metadata


def _device_name(device: torch.device) -> str:
    """`NVIDIA H100 80GB HBM3`, `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _bad_samples(data: EvalData) -> dict[str, list[str]]:
    """Images that could not be read, as `shard key: reason`, by the sets that have any."""
    features = {evaluated.features.name: evaluated.features for evaluated in data.sets}
    if data.id_train is not None:
        features[f"{data.id_train.features.name}, as id_train_shards"] = data.id_train.features
    return {name: of_set.bad for name, of_set in features.items() if of_set.bad}
