"""A sweep's file, read: lines of arguments, or a grid in YAML."""

from collections.abc import Sequence
from pathlib import Path

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line, read_lines
from ood_lightning.places import expanded
from ood_lightning.text_files import read_text

GRID_ENDINGS = (".yaml", ".yml")


def one_file(file: Sequence[str]) -> Path:
    """The file of a sweep that a command was given.

    Raises:
        SettingsError: none was given, or several.
    """
    if len(file) != 1:
        raise SettingsError(f"{len(file)} files given: a sweep is one file")
    return expanded(file[0])


def folder_of(file: Path, out: str | None) -> Path:
    """The folder of a sweep: the one that is asked for, else `runs/sweeps/NAME` of the file's name."""
    return expanded(out) if out else Path("runs/sweeps") / file.stem


def read_sweep(path: Path) -> list[Line]:
    """The lines of a sweep, in their order.

    Args:
        path: a grid where it ends in .yaml or .yml, else lines `NAME: ARGUMENTS`.

    Raises:
        SettingsError: the file cannot be read; names the line or the field.
    """
    text = read_text(path, "the sweep", SettingsError)
    return (read_grid if path.suffix.lower() in GRID_ENDINGS else read_lines)(text, path)
