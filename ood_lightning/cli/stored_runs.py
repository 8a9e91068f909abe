"""Settings of a finished `test` run, built from the file that it left."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.cli.parser import PlainErrors
from ood_lightning.errors import SettingsError, UserError, first_line
from ood_lightning.revision.stored_run import RunSettings, settings_file

MODEL, DATA = "ood_lightning.modules.detect.DetectModule", "ood_lightning.datamodules.features.EvalFeatures"


def read_settings(run: Path) -> dict[str, Any]:
    """The whole config of a run's last `test`, as plain data.

    Raises:
        UserError: there is none, it cannot be read, or it is no evaluation of label sets.
    """
    file = settings_file(run)
    try:
        content = yaml.safe_load(file.read_bytes())
        kinds = content["model"]["class_path"], content["data"]["class_path"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SettingsError(f"{file} is no config of a `test`: {first_line(error)}") from None

    if kinds != (MODEL, DATA):
        raise SettingsError(f"{file} names {' and '.join(kinds)}: expected {MODEL} and {DATA}")
    return dict(content)


def built(settings: dict[str, Any], run: Path) -> RunSettings:
    """The classes that a config names.

    Args:
        settings: as :func:`read_settings` gives them.
        run: folder of the run, for errors.

    Raises:
        SettingsError: a class is not there any more, or a file that it names is not.
    """
    both = {**settings["model"]["init_args"], **settings["data"]["init_args"]}
    given_settings = {name: both[name] for one in fields(RunSettings) if (name := one.name) in both}

    parser = PlainErrors()
    parser.add_class_arguments(RunSettings, None, sub_configs=True)
    try:
        made = parser.instantiate_classes(parser.parse_object(given_settings))
    except UserError as error:
        raise SettingsError(f"{settings_file(run)} cannot be used: {error}") from None
    return RunSettings(**made.as_dict())
