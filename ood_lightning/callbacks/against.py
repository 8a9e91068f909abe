"""Prints and writes one table of all detectors by their supervision, each compared with chosen ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_only

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.errors import SettingsError
from ood_lightning.metrics.against import compared_with
from ood_lightning.progress import bar
from ood_lightning.ranges import Range, Seed, in_range
from ood_lightning.report.against import against_table
from ood_lightning.report.terminal import print_tables


class AgainstReferences(L.Callback):
    """`against.json` and a table on the terminal; it stands behind `ResultsWriter` in a config.

    Args:
        references: detectors that score each image alone, by their names in the run.
        resamples: of the bootstrap behind intervals and p-values.
        seed: of its draws.
    """

    @in_range
    def __init__(
        self, references: Sequence[str], resamples: Annotated[int, Range(1, 1_000_000)] = 1000, seed: Seed = 0
    ) -> None:
        self.references, self.resamples, self.seed = list(references), resamples, seed

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Refuse a reference that the run does not have, before anything is scored."""
        if unknown := [name for name in self.references if name not in pl_module.detectors]:
            raise SettingsError(
                f"references: {', '.join(unknown)} is no detector of the run that scores each image alone; there are "
                f"{', '.join(pl_module.detectors)}"
            )

    @rank_zero_only
    def on_test_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        known = [name for name in self.references if name not in module.not_run]
        of_detectors = slice(len(module.scorers))
        scores = {one.name: one.scores.rows(0, len(one.keys))[of_detectors].T for one in module.scores}
        streams = {
            (one.detector, one.id_set, one.ood_set): (one.id_scores, one.ood_scores) for one in module.stream_scores
        }

        n_draws = self.resamples * (1 + sum(one.id_set == module.results[0].id_set for one in module.stream_scores))
        with bar(n_draws, "bootstrap against references", "resample", delay_s=3) as progress_bar:
            rows = compared_with(
                module.results,
                scores,
                list(module.scorers),
                streams,
                known,
                self.resamples,
                self.seed,
                progress_bar.update,
            )

        out = Path(trainer.default_root_dir) / "against.json"
        write_json(out, {"seed": self.seed, "rows": [row.row() for row in rows]})
        print_tables([against_table(rows, known)])
        print(f"compared with {', '.join(known)}: {out}")
