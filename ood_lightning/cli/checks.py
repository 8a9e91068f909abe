"""Checks of settings that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

from ood_lightning.errors import SettingsError


def check_least(least: int, **given: int) -> None:
    """Refuse numbers below `least`, by their names."""
    for name, value in given.items():
        if value < least:
            raise SettingsError(f"{name} is {value}: expected {least} or more")


def check_out(out: str | None, *endings: str) -> None:
    """Refuse a file to write before hours of work for it: its name says another form, or it cannot be written."""
    if out is None:
        return
    if Path(out).suffix not in endings:
        raise SettingsError(f"out is {out!r}: expected a name ending in {' or '.join(endings)}")
    if os.path.isdir(out):
        raise SettingsError(f"out is {out!r}, which is a folder: expected a file")
    there = next(folder for folder in Path(out).absolute().parents if os.path.exists(folder))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "you may not write there" if there.is_dir() else "it is a file"
        raise SettingsError(f"out is {out!r}, which cannot be made in {there}: {why}")
