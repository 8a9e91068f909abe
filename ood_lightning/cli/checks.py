"""Checks of settings that several commands share."""

import os
from pathlib import Path

from ood_lightning.errors import SettingsError


def check_least(minimum: int, **settings: int) -> None:
    """Refuse settings below a minimum, by their names."""
    for name, value in settings.items():
        if value < minimum:
            raise SettingsError(f"{name} is {value}: expected {minimum} or more")


def check_out(out: str | None, *endings: str) -> None:
    """Refuse a file that cannot be written, before the hours of work for it.

    Args:
        out: the file; nothing is checked if None.
        endings: of the forms that the command can write, such as `.json`.
    """
    if out is None:
        return
    if Path(out).suffix not in endings:
        raise SettingsError(f"out is {out!r}: expected a name ending in {' or '.join(endings)}")
    if os.path.isdir(out):
        raise SettingsError(f"out is {out!r}, which is a folder: expected a file")

    parent = next(folder for folder in Path(out).absolute().parents if os.path.exists(folder))
    if not parent.is_dir():
        raise SettingsError(f"out is {out!r}, which cannot be made in {parent}: it is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SettingsError(f"out is {out!r}, which cannot be made in {parent}: you may not write there")
