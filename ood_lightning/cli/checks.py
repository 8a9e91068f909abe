"""Checks of settings that several commands share."""

from __future__ import annotations

from pathlib import Path

from ood_lightning.errors import SettingsError


def check_least(least: int, **given: int) -> None:
    """Refuse numbers below `least`, by their names."""
    for name, value in given.items():
        if value < least:
            raise SettingsError(f"{name} is {value}: expected {least} or more")


def check_ending(out: str | None, *endings: str) -> None:
    """Refuse a file to write whose name says another form than those that are written."""
    if out is not None and Path(out).suffix not in endings:
        raise SettingsError(f"out is {out!r}: expected a name ending in {' or '.join(endings)}")
