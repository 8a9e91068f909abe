"""A sweep's file, read: lines of arguments, or a grid in YAML."""

from pathlib import Path

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line, read_lines
from ood_lightning.text_files import read_text

GRID_ENDINGS = (".yaml", ".yml")


def read_sweep(path: Path) -> list[Line]:
    """The lines of a sweep, in their order.

    Args:
        path: a grid where it ends in .yaml or .yml, else lines `NAME: ARGUMENTS`.

    Raises:
        SettingsError: the file cannot be read; names the line or the field.
    """
    text = read_text(path, "the sweep", SettingsError)
    return (read_grid if path.suffix.lower() in GRID_ENDINGS else read_lines)(text, path)
