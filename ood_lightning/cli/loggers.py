"""Loggers of commands without a Trainer: `--config configs/with_wandb.yaml`, as for `fit` and `test`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.cli.config_files import CONFIG_OPTIONS
from ood_lightning.errors import SettingsError

LOGGING = ("embed", "predict", "run", "reproduce")  # commands that show something
RUN_LOGGER = "ood_lightning.callbacks.wandb.RunLogger"


@dataclass
class Viewer:
    """Where a command shows what it did; nowhere unless a config asks for it.

    Args:
        settings: init arguments of each logger.
        loggers: begun when something is shown first.
        is_global_zero: of several processes that share the work the first one shows.
    """

    settings: list[dict[str, Any]]
    loggers: list[Any] = field(default_factory=list)
    is_global_zero: bool = True

    def begin(self, folder: Path, config: dict[str, Any]) -> Viewer | None:
        """Itself with loggers that write into a folder and hold the command's settings; None if it shows nothing."""
        if not self.settings or not self.is_global_zero:
            return None
        if not self.loggers:
            from ood_lightning.callbacks.wandb import RunLogger

            for one in self.settings:
                in_folder = one.get("save_dir", ".") == "."
                try:
                    self.loggers.append(RunLogger(**{**one, **({"save_dir": str(folder)} if in_folder else {})}))
                except TypeError as error:
                    raise SettingsError(f"trainer.logger: {error}") from None
            for logger in self.loggers:
                logger.log_hyperparams(config)
        return self


_NOWHERE = Viewer([])
_VIEWER: ContextVar[Viewer] = ContextVar("viewer", default=_NOWHERE)


def viewer(folder: Path, **config: Any) -> Viewer | None:
    """The running command's viewer; None if no config asks for one.

    Args:
        folder: for the loggers' files.
        config: what the run is shown with.
    """
    return _VIEWER.get().begin(folder, config)


@contextmanager
def loggers_of(command: str, words: Sequence[str]) -> Iterator[list[str]]:
    """Take configs that hold loggers alone out of a command line; inside, :func:`viewer` has them.

    Args:
        command: one of :data:`LOGGING`, or another, whose words stay as they are.
        words: behind the command's name.

    Raises:
        SettingsError: a logger is none of ours: without a Trainer there is no other.
    """
    rest, settings = _split(words) if command in LOGGING else (list(words), [])
    if not settings:
        yield rest
        return

    ranks = (os.environ.get(name, "0") for name in ("RANK", "SLURM_PROCID"))
    token = _VIEWER.set(Viewer(settings, is_global_zero=all(rank == "0" for rank in ranks)))
    status = 1
    try:
        yield rest
        status = 0
    finally:
        _VIEWER.reset(token)
        from ood_lightning.callbacks.wandb import finish

        finish(status)


def _split(words: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Words without the configs that hold loggers alone, and the init arguments of those loggers."""
    rest: list[str] = []
    settings: list[dict[str, Any]] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        option, equals, value = word.partition("=")
        is_config = option in CONFIG_OPTIONS and (bool(equals) or bool(waiting))
        file = value if equals else (waiting[0] if waiting else "")
        loggers = _loggers_in(Path(os.path.expanduser(file))) if is_config else None
        if loggers is None:
            rest.append(word)
            continue

        waiting = waiting if equals else waiting[1:]
        for one in loggers:
            if not isinstance(one, dict) or one.get("class_path") != RUN_LOGGER:
                raise SettingsError(f"{file}: without a Trainer there is one logger, {RUN_LOGGER}")
            settings.append(dict(one.get("init_args") or {}))
    return rest, settings


def _loggers_in(path: Path) -> list[Any] | None:
    """The loggers of a config that holds nothing else; None for other files."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None  # the command refuses it in its own words
    trainer = content.get("trainer") if isinstance(content, dict) and content.keys() == {"trainer"} else None
    if not isinstance(trainer, dict) or not trainer or not trainer.keys() <= {"logger", "logger+"}:
        return None
    return [one for value in trainer.values() for one in (value if isinstance(value, list) else [value])]
