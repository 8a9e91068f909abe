"""`fit` and `test`: LightningCLI with one encoder for data and model. The only file that starts Lightning."""

import errno
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.callbacks import wandb
from ood_lightning.callbacks.checkpoint import RunCheckpoint, checkpoint_of, read_checkpoint
from ood_lightning.callbacks.stop import SafeStop
from ood_lightning.checks import Check, before_work, folder_check
from ood_lightning.cli.launch import by_torchrun, is_slurm_task
from ood_lightning.cli.parser import PlainErrors
from ood_lightning.cli.quick_imports import in_one_go
from ood_lightning.cli.trainer_settings import check_epochs, check_kept, check_settings, peer_error, trainer_error
from ood_lightning.data.artifacts.files import sole_writer
from ood_lightning.errors import SOME_UNREAD, TERMINATED, SettingsError, UnwritableError, UserError, first_line
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.places import expanded
from ood_lightning.plain_output import without_noise
from ood_lightning.report.one_run import DONE

# what every run has unless its config says otherwise, so that no config repeats it
TRAINER_DEFAULTS: dict[str, Any] = {
    "use_distributed_sampler": False,  # our own samplers share the data out; Lightning's would pad
    "deterministic": True,
    "enable_model_summary": False,
    "logger": [
        {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": ".", "name": "log"}},
    ],
    "callbacks": [SafeStop()],
}


class SaveConfig(SaveConfigCallback):
    """The run's settings as `config.yaml`, and to every logger."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: D102
        settings = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        for logger in trainer.loggers:
            logger.log_hyperparams(settings)


class OODParser(PlainErrors, LightningArgumentParser):
    """Lightning's parser with errors in our words."""


class OODCLI(LightningCLI):
    """LightningCLI with the commands `fit` and `test`.

    Args:
        held: what is let go when the command ends.
        settings: LightningCLI's own.
    """

    def __init__(self, held: ExitStack, **settings: Any) -> None:
        self.held = held
        super().__init__(**settings)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The two commands, each with the arguments of its Trainer method that are no options."""
        return {name: LightningCLI.subcommands()[name] for name in ("fit", "test")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """One encoder for data and model, loaded once; one choice for all that take names."""
        parser.add_argument(
            "--names_check",
            type=NamesCheck | None,
            default=None,
            help="what to do where names are given that are not those of the ID set: refuse, or warn and go on",
        )
        parser.link_arguments("data.encoder", "model.init_args.encoder", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: D102
        with in_one_go():  # the classes that a config names are imported here
            super().parse_arguments(parser, args)

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint that is not there or is damaged: Lightning reads settings from it, and passes it over."""
        config = self.config[self.config.subcommand]
        if config.ckpt_path:
            path = expanded(config.ckpt_path)
            if not path.exists():
                raise SettingsError(
                    f"ckpt_path is {config.ckpt_path!r}, and there is no such file: name a checkpoint, or leave it "
                    f"out; a fit finds the one in its own folder by itself"
                )
            if path.is_file():
                read_checkpoint(path, "name another ckpt_path, or leave it out")
            config.ckpt_path = str(path)
        super()._parse_ckpt_path()

    def _set_seed(self) -> None:
        """Seed all generators; Lightning refuses some whole numbers."""
        try:
            super()._set_seed()
        except ValueError as error:
            raise SettingsError(f"seed_everything: {first_line(error)}") from None

    def before_instantiate_classes(self) -> None:
        """Expand paths, refuse what would fail late, let loggers with `save_dir: .` write into the run's folder."""
        config = self.config[self.subcommand]
        check_settings(str(self.subcommand), config)
        trainer = config.trainer
        if trainer.default_root_dir is not None:
            trainer.default_root_dir = str(expanded(trainer.default_root_dir))

        for logger in trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]:
            settings = getattr(logger, "init_args", None)
            if settings is not None and settings.get("save_dir"):
                in_run = settings.save_dir == "." and trainer.default_root_dir
                settings.save_dir = trainer.default_root_dir if in_run else str(expanded(settings.save_dir))

        callbacks = trainer.callbacks if isinstance(trainer.callbacks, list) else [trainer.callbacks]
        for part in [config.model, *callbacks] if config.names_check else []:
            init_args = getattr(part, "init_args", None)
            if init_args is not None and "names_check" in init_args:
                init_args.names_check = config.names_check

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """The Trainer; as one of Slurm's tasks only if `srun` started this process."""
        if by_torchrun():
            pass  # Lightning reads torchrun's variables, in a job of Slurm too
        elif is_slurm_task(os.environ, os.getpid()):
            # a step of several tasks may lie in a job that is called `bash`, which Lightning takes for a shell
            if SLURMEnvironment.detect() or os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
                # not Lightning's requeueing: it saves in the middle of an epoch. The job script requeues.
                kwargs["plugins"] = [SLURMEnvironment(auto_requeue=False)]
        elif "SLURM_NTASKS" in os.environ:
            # in a job but without srun: Slurm's variables would let Lightning wait for ranks that nobody starts
            kwargs["plugins"] = [LightningEnvironment()]

        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
            raise trainer_error(error, self.config[self.subcommand].trainer.accelerator) from None

        if trainer.loggers and not any(isinstance(logger, CSVLogger) for logger in trainer.loggers):
            # files in the run's folder are the record, whatever else the config chose to look at them with
            trainer.loggers = [CSVLogger(trainer.default_root_dir, name="log"), *trainer.loggers]
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Run it; a full disk is named by the run's folder, where the system names no file."""
        try:
            super()._run_subcommand(subcommand)
        except MisconfigurationException as error:
            raise SettingsError(f"the Trainer cannot work with these settings: {first_line(error)}") from None
        except OSError as error:
            if error.filename or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UnwritableError(self.trainer.default_root_dir, error.strerror or str(error)) from None

    def _checks(self, command: str) -> list[Check]:
        """What can be known before any work: of the run's folder, the data, the module and the callbacks."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        checks = [
            Check("results", partial(check_kept, command, callbacks)),
            folder_check("run folder", self.trainer.default_root_dir, "trainer.default_root_dir"),
        ]
        if hasattr(self.datamodule, "checks"):  # one's own classes need not have any
            checks += self.datamodule.checks()
        for part in (self.model, *callbacks):
            if hasattr(part, "checks"):
                checks += part.checks(self.datamodule)
        return checks

    def before_fit(self) -> None:
        """Check what can be known, hold the run's folder, go on from the checkpoint that this run left."""
        epochs = Check("epochs", partial(check_epochs, self.trainer.max_epochs))
        left = Check("checkpoint", self._checkpoint_left)
        before_work([epochs, *self._checks("fit"), left])
        self._hold_folder()
        if path := self._checkpoint():
            rank_zero_info(f"reusing {path}: training goes on from there, finished epochs are not repeated")
            self.config_init["fit"]["ckpt_path"] = str(path)

    def _checkpoint(self) -> Path | None:
        """The checkpoint that this very run left, unless another one is named."""
        writes_checkpoints = any(isinstance(c, RunCheckpoint) for c in self.trainer.callbacks)  # type: ignore[attr-defined]
        if not writes_checkpoints or self.config_init["fit"]["ckpt_path"]:
            return None
        return checkpoint_of(self.trainer, self.model, self.datamodule)

    def _checkpoint_left(self) -> str:
        path = self.config_init["fit"]["ckpt_path"] or self._checkpoint()
        return f"training goes on from {path}" if path else "none is gone on with"

    def before_test(self) -> None:
        """Check what can be known, hold the run's folder, take its `DONE` away, silence Lightning's table."""
        try:
            before_work(self._checks("test"))
        except UserError:  # whoever waits for this run's DONE would find that of the run before
            self._take_done_away()
            raise
        self._hold_folder()
        self._take_done_away()
        self.config_init["test"]["verbose"] = False  # it would repeat every number once a set; ours is printed

    def _take_done_away(self) -> None:
        done = Path(self.trainer.default_root_dir) / DONE
        if self.trainer.is_global_zero and done.is_file():
            done.unlink(missing_ok=True)

    def _hold_folder(self) -> None:
        """Let no other run write into the folder; rank 0 writes for all ranks, and holds it for them."""
        if self.trainer.is_global_zero:
            self.held.enter_context(sole_writer(Path(self.trainer.default_root_dir)))


def run(argv: list[str] | None) -> int:
    """Run `fit` or `test`; returns the exit status.

    Args:
        argv: command and arguments; None lets Lightning read the process's own.
    """
    without_noise()
    status, held = 1, ExitStack()
    try:
        cli = OODCLI(  # reads the settings and runs the command, both when it is built
            held,
            model_class=L.LightningModule,
            datamodule_class=L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            save_config_callback=SaveConfig,
            save_config_kwargs={"overwrite": True},
            parser_class=OODParser,
            parser_kwargs={"allow_abbrev": False},
            args=argv,
        )
        Path(cli.trainer.default_root_dir).mkdir(parents=True, exist_ok=True)
        status = SOME_UNREAD if getattr(cli.datamodule, "some_unread", False) else 0
    except RuntimeError as error:
        refused = peer_error(error)
        if refused is None:
            raise
        raise refused from None
    except SIGTERMException:
        status = TERMINATED
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit(1)
            raise KeyboardInterrupt from None
        raise
    finally:
        wandb.finish(0 if status == SOME_UNREAD else status)
        held.close()

    return status
