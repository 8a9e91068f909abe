"""Settings of `fit` and `test` that Lightning would find late, refuse in its own words, or accept and do nothing."""

from __future__ import annotations

import re
from importlib import import_module
from textwrap import shorten
from typing import Any

import lightning.pytorch as L

from ood_lightning.errors import SettingsError, UserError, first_line

# by command: what a module, and what a data module, has to have of its own
HOOKS = {"fit": ("training_step", "train_dataloader"), "test": ("test_step", "test_dataloader")}
# hooks of callbacks that keep what a command computes
KEEPING = {"fit": ("on_fit_end", "on_save_checkpoint"), "test": ("on_test_end",)}
KEPT_BY = {"fit": "callbacks.label_sets.LabelSetWriter", "test": "callbacks.results.ResultsWriter"}
PEER_GONE = re.compile(r"gloo|nccl|\bpeer\b", re.IGNORECASE)  # in what the backends of torch.distributed say


def commands_for(class_path: str) -> list[str]:
    """Those of `fit` and `test` that a module or a data module has the hooks for."""
    module, _, name = class_path.rpartition(".")
    kind = getattr(import_module(module), name)
    base = L.LightningModule if issubclass(kind, L.LightningModule) else L.LightningDataModule
    which = 0 if base is L.LightningModule else 1
    return [command for command, hooks in HOOKS.items() if _overrides(kind, base, hooks[which])]


def _overrides(kind: type, base: type, hook: str) -> bool:
    return getattr(kind, hook, None) is not getattr(base, hook, None)


def check_settings(command: str, settings: Any) -> None:
    """Refuse, before any class is built, a config of the other command and a run that would do nothing.

    Args:
        command: `fit` or `test`.
        settings: of the command, as they were parsed.

    Raises:
        SettingsError: naming the key.
    """
    for part in ("model", "data"):
        path = settings[part].class_path
        possible = commands_for(path)
        if command not in possible:
            advice = f"give this config to `{possible[0]}`" if possible else "name another class"
            raise SettingsError(f"{part}.class_path is {path}, which cannot {command}: {advice}")

    trainer = settings.trainer
    share = "limit_test_batches" if command == "test" else "limit_train_batches"
    if command == "test" and (trainer.limit_test_batches not in (None, 1.0) or trainer.fast_dev_run):
        key = "fast_dev_run" if trainer.fast_dev_run else share
        raise SettingsError(
            f"trainer.{key} is {trainer[key]}: an evaluation scores every picture of every set once, or its numbers "
            f"would not be those of the sets. Leave it out; for a quick run, name smaller sets"
        )

    if command == "fit" and trainer.precision in ("16-true", "bf16-true"):
        raise SettingsError(
            f"trainer.precision is {trainer.precision}: features, votes and losses are float32. Leave it out, or take "
            f"16-mixed or bf16-mixed; the towers have a precision of their own, of the encoder"
        )

    for key in (share, "max_epochs", "max_steps"):
        if command == "fit" and trainer[key] == 0:
            raise SettingsError(f"trainer.{key} is 0: nothing would be trained. Leave it out, or set it above 0")


def check_kept(command: str, callbacks: list[L.Callback]) -> str:
    """Which callback keeps what the run finds; a run without one is refused.

    Args:
        command: `fit` or `test`.
        callbacks: of the Trainer.
    """
    hooks = KEEPING[command]
    # Lightning's own ones, such as its progress bar, keep nothing that a person asked for
    kinds = [kind for kind in map(type, callbacks) if not kind.__module__.startswith("lightning.")]
    keeping = [kind.__name__ for kind in kinds if any(_overrides(kind, L.Callback, hook) for hook in hooks)]
    if not keeping:
        raise SettingsError(
            f"trainer.callbacks names none that writes what `{command}` finds, such as "
            f"ood_lightning.{KEPT_BY[command]}: all results would be thrown away"
        )
    return f"written by {', '.join(keeping)}"


def check_epochs(max_epochs: int | None) -> str:
    """How long a fit trains; one without an end is refused, since learning rates fall towards the last epoch.

    Args:
        max_epochs: of the Trainer, for which max_steps or max_time alone mean -1.
    """
    if max_epochs == -1:
        raise SettingsError("trainer.max_epochs is -1, or left out beside max_steps or max_time: name how many epochs")
    return f"{max_epochs}"


def trainer_error(error: Exception, accelerator: object) -> SettingsError:
    """What Lightning refuses, in one line.

    Args:
        error: Lightning's.
        accelerator: that the settings name.
    """
    hint = "" if accelerator == "auto" else f" (trainer.accelerator is {accelerator!r}; auto takes what is there)"
    return SettingsError(f"the Trainer cannot be made with these settings: {first_line(error).rstrip('.')}{hint}")


def peer_error(error: RuntimeError) -> SettingsError | None:
    """What to say where another process of the run has ended; None for other errors."""
    if isinstance(error, UserError) or not PEER_GONE.search(str(error)):
        return None

    return SettingsError(
        f"another process of this run has ended: what it said, if anything, stands above. Finished shards and saved "
        f"epochs are kept, the same command goes on from there ({shorten(first_line(error), 160, placeholder='...')})"
    )
