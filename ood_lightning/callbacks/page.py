"""Writes what a person looks at first, when a test has ended: the reasons of its pictures, and the page."""

from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_only

from ood_lightning.data.artifacts.scores import StoredScores, run_of_scores
from ood_lightning.datamodules.contracts import EvalData, data_of
from ood_lightning.errors import SettingsError
from ood_lightning.page.write import PAGE, write_page
from ood_lightning.reasons.collect import Explained, collect, first_explained
from ood_lightning.reasons.pictures import ScoredSet
from ood_lightning.reasons.stored import write_reasons
from ood_lightning.reasons.thumbnails import ShownSet


class ReportPage(L.Callback):
    """`reasons.json` and `report.html`; list it behind the results' writer.

    Explains the first detector whose score is equation 1. Reads the shards that hold the pictures of the page once
    more.
    """

    @rank_zero_only
    def on_test_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        out, data = Path(trainer.default_root_dir), data_of(trainer, EvalData, self)
        if not (out / "scores.parquet").is_file():
            raise SettingsError("ReportPage reads scores.parquet: list it behind callbacks.results.ResultsWriter")

        label_sets = module.evidence.label_sets
        candidates = [
            Explained(name, detector, detector.labels, label_sets[detector.labels])
            for name, detector in module.detectors.items()
            if name in module.scorers and detector.labels
        ]
        if (what := first_explained(candidates)) is not None:
            scores = StoredScores(out / "scores.parquet").column(what.name)
            sets = [ScoredSet(ShownSet(one), one.role != "ood", scores[one.features.name]) for one in data.sets]
            training = None if data.id_train is None else ShownSet(data.id_train)
            write_reasons(out, collect(what, sets, training, run=run_of_scores(out / "scores.parquet")))

        write_page([out], out / PAGE)
        print(f"to look at: {out / PAGE}")
