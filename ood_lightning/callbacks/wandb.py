"""Weights & Biases: its logger, and files, images and tables into its run. No other file imports `wandb`.

CSV and JSON files in the run's folder are the record; W&B is a view of them. So nothing here may stop a job.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from PIL import Image

from ood_lightning.masking import mask_of, masked
from ood_lightning.ranges import Positive, in_range

log = logging.getLogger(__name__)

Mode = Literal["offline", "online", "disabled"]
MODES = ("offline", "online", "disabled", "shared", "dryrun", "run")  # that W&B takes from its variable


class RunIds(NamedTuple):
    """What W&B tells runs by: those of a group are shown together, those of one id are one run."""

    group: str | None
    id: str | None


def slurm_ids(environment: Mapping[str, str]) -> RunIds:
    """Group and id of a run under Slurm, the same after a requeue; none elsewhere.

    The tasks of an array share the array's group. A second `srun` of one job is another run.

    Example:
        >>> of_array = {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "3"}
        >>> slurm_ids(of_array | {"SLURM_STEP_ID": "0"})
        RunIds(group='10', id='10-3')
        >>> slurm_ids({"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "1"})
        RunIds(group=None, id='12-step1')
    """
    if not environment.get("SLURM_JOB_ID"):
        return RunIds(None, None)

    array, step = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_STEP_ID", "0")
    name = f"{array}-{environment.get('SLURM_ARRAY_TASK_ID')}" if array else environment["SLURM_JOB_ID"]
    return RunIds(array, name if step == "0" else f"{name}-step{step}")


class Shows(Protocol):
    """What has loggers: a Trainer, or what stands in for one where a command has none."""

    @property
    def loggers(self) -> list[Any]:
        """All of them."""

    @property
    def is_global_zero(self) -> bool:
        """Whether this process is the one that shows."""


class RunLogger(WandbLogger):
    """A W&B run: offline by default, and also where the server does not answer or there is no key.

    Args:
        project: where runs are listed.
        save_dir: folder of `wandb/`; `.` is the run's own.
        name: shown in lists; W&B's choice if None.
        group: shown together; the Slurm array's job id if None.
        id: runs of one id are one run, which a requeued job goes on with; from Slurm's job and task if None.
        mode: `$WANDB_MODE`, else offline, if None.
        init_timeout_s: how long to wait for the server before going on offline.
    """

    @in_range
    def __init__(
        self,
        project: str = "ood_lightning",
        save_dir: str = ".",
        name: str | None = None,
        group: str | None = None,
        id: str | None = None,
        mode: Mode | None = None,
        init_timeout_s: Positive = 60.0,
    ) -> None:
        slurm = slurm_ids(os.environ)
        super().__init__(
            project=project,
            save_dir=os.path.abspath(save_dir),  # W&B's own process, which writes, may have begun in another folder
            name=name,
            id=id or slurm.id,
            group=group or os.environ.get("WANDB_RUN_GROUP") or slurm.group,
            mode=mode or _mode_of_environment(),
        )
        self.init_timeout_s = init_timeout_s

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run; begun on first use."""
        if self._experiment is None:
            import wandb

            self._wandb_init["settings"] = wandb.Settings(init_timeout=self.init_timeout_s)
            with _masked_arguments():
                try:
                    return super().experiment
                except wandb.errors.Error as error:
                    log.warning(
                        "W&B cannot be reached (%s): this run is recorded offline in %s/wandb; `wandb sync` uploads it",
                        _in_words(error)[:200],
                        self.save_dir,
                    )
                self._wandb_init["mode"] = "offline"
                return super().experiment

        return super().experiment


def _mode_of_environment() -> str:
    """`$WANDB_MODE` in small letters, offline if it is none; W&B itself, which would end the run, then reads that."""
    text = os.environ.get("WANDB_MODE", "")
    mode = text.strip().lower() or "offline"
    if mode not in MODES:
        log.warning("WANDB_MODE is %r: expected one of %s; this run is recorded offline", text, ", ".join(MODES))
        mode = "offline"
    if text:
        os.environ["WANDB_MODE"] = mode
    return mode


@contextmanager
def _masked_arguments() -> Iterator[None]:
    """Hide passwords and tokens of addresses in the process's arguments, which W&B records when a run begins."""
    arguments = sys.argv
    sys.argv = [masked(word) for word in arguments]
    try:
        yield
    finally:
        sys.argv = arguments


def finish(exit_code: int) -> None:
    """Close the process's run, if there is one: all of it is on disk then, and the next run is another one."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        with _only_a_view("the end of the run"):
            wandb.finish(exit_code=exit_code)
            wandb.teardown()  # `finish` returns before the process that writes has closed its file


def is_shown(trainer: Shows) -> bool:
    """Whether this process has a W&B logger that shows anything."""
    return trainer.is_global_zero and any(isinstance(logger, WandbLogger) for logger in trainer.loggers)


def log_file(
    trainer: Shows, path: Path, name: str, kind: str, made_from: Mapping[str, str | None] | None = None
) -> None:
    """Store a file as an artifact.

    Args:
        trainer: of the run, or what stands in for one.
        path: of the file.
        name: of the artifact; runs that store the same content share one version of it.
        kind: of the artifact.
        made_from: hashes of what it was made from, by what that is; they are the artifact's metadata.
    """

    def store(logger: WandbLogger) -> None:
        import wandb

        artifact = wandb.Artifact(name, kind, metadata=dict(made_from or {}))
        artifact.add_file(str(path))
        logger.experiment.log_artifact(artifact)

    _show(trainer, str(path), store)


def log_lineage(trainer: Shows, name: str, kind: str, hashes: Mapping[str, str]) -> None:
    """Store hashes in place of large files, features and heads: an artifact that holds `hashes.json` alone."""

    def store(logger: WandbLogger) -> None:
        import wandb

        artifact = wandb.Artifact(name, kind, metadata=dict(hashes))
        with artifact.new_file("hashes.json", encoding="utf-8") as file:
            file.write(json.dumps(dict(hashes), indent=1, sort_keys=True))
        logger.experiment.log_artifact(artifact)

    _show(trainer, name, store)


def log_lines(
    trainer: Shows, name: str, title: str, x_label: str, series: Mapping[str, tuple[list[float], list[float]]]
) -> None:
    """Show lines in one chart: places and values by the name of the line."""

    def draw(logger: WandbLogger) -> None:
        import wandb

        xs, ys = [list(one) for one in zip(*series.values(), strict=True)]
        logger.experiment.log({name: wandb.plot.line_series(xs, ys, keys=list(series), title=title, xname=x_label)})

    _show(trainer, name, draw)


def log_picture_table(trainer: Shows, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table; what is an image in it is shown as one."""

    def show(logger: WandbLogger) -> None:
        import wandb

        cells = [[wandb.Image(cell) if isinstance(cell, Image.Image) else cell for cell in row] for row in rows]
        logger.experiment.log({name: wandb.Table([*columns], cells)})

    _show(trainer, name, show)


def log_memory(trainer: Shows) -> None:
    """Show the most memory of its GPU that this process has held, in GiB, where it has one."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        peak = torch.cuda.max_memory_allocated() / 2**30
        _show(trainer, "memory", lambda logger: logger.experiment.log({"memory/gpu_gib": peak}))


def log_picture(trainer: Shows, picture: Path | Image.Image, name: str) -> None:
    """Show an image, or a file of one."""
    images = [str(picture) if isinstance(picture, Path) else picture]
    _show(trainer, name, lambda logger: logger.log_image(name, images))


def log_table(trainer: Shows, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table."""
    _show(trainer, name, lambda logger: logger.log_table(name, [*columns], [[*row] for row in rows]))


def _show(trainer: Shows, what: str, show: Callable[[WandbLogger], object]) -> None:
    """Let each W&B logger show something; on ranks other than 0 there is none that could."""
    for logger in trainer.loggers:
        if trainer.is_global_zero and isinstance(logger, WandbLogger):
            with _only_a_view(what):
                show(logger)


@contextmanager
def _only_a_view(what: str) -> Iterator[None]:
    """Turn every error of W&B into a warning: the files of the run are written by now."""
    try:
        yield
    except Exception as error:  # a full disk, a service that died: it raises OSError, ValueError and errors of its own
        log.warning("W&B does not show %s: %s", what, _in_words(error))


def _in_words(error: Exception) -> str:
    """An error of W&B on one line, without the API key."""
    return mask_of(os.environ.get("WANDB_API_KEY", ""))(" ".join(str(error).split()))
