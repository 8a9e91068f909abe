"""Weights & Biases' door: files, pictures and tables into a run, where the config names its logger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)


def _runs(trainer: L.Trainer) -> list[Any]:
    """The run of each W&B logger; on ranks other than 0 there is none."""
    return (
        [logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if trainer.is_global_zero
        else []
    )


def log_file(trainer: L.Trainer, path: Path, name: str, kind: str) -> None:
    """Store a file as an artifact."""
    for run in _runs(trainer):
        import wandb

        artifact = wandb.Artifact(name, type=kind)
        artifact.add_file(str(path))
        run.log_artifact(artifact)


def log_picture(trainer: L.Trainer, path: Path, name: str) -> None:
    """Show a picture."""
    for run in _runs(trainer):
        import wandb

        run.log({name: wandb.Image(str(path))})


def log_table(trainer: L.Trainer, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table."""
    for run in _runs(trainer):
        import wandb

        run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
