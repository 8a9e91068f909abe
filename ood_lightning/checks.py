"""Checks before work: what files can tell is looked at before the first picture is read or the first text encoded.

A command lists its checks and hands them to :func:`before_work`; `validate` runs the same command as far as there, and
prints a line for each. So there is one list, and what `validate` passes the command does not refuse for these reasons.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from ood_lightning.errors import SettingsError, UserError
from ood_lightning.places import check_writable

_ONLY_CHECKS = ContextVar("only_checks", default=False)


class Check(NamedTuple):
    """Something to look at.

    Attributes:
        what: its name, for a line.
        look: looks, and says what was found; raises a UserError where the command cannot work.
    """

    what: str
    look: Callable[[], str]


class ChecksEndedError(Exception):
    """The checks of a command are done, and no work is wanted.

    Attributes:
        lines: one a check.
        refusals: what the checks said that refuse the command, each once.
    """

    def __init__(self, lines: list[str], refusals: list[str]) -> None:
        super().__init__()
        self.lines, self.refusals = lines, refusals


@contextmanager
def only_checks() -> Iterator[None]:
    """Inside, a command ends with a :class:`ChecksEndedError` where its work would begin."""
    token = _ONLY_CHECKS.set(True)
    try:
        yield
    finally:
        _ONLY_CHECKS.reset(token)


def before_work(checks: Iterable[Check]) -> None:
    """Look at everything, in order; the first refusal ends the command.

    Raises:
        UserError: a check's.
        ChecksEndedError: inside :func:`only_checks`, when all of them have been looked at.
    """
    lines, refusals = [], []
    for what, look in checks:
        try:
            lines.append(f"{what}: {look()}")
        except UserError as error:
            if not _ONLY_CHECKS.get():
                raise
            # what one check has refused, such as an encoder that cannot be read, others meet again
            if str(error) in refusals:
                lines.append(f"{what}: refused, as above")
            else:
                refusals.append(str(error))
                lines.append(f"{what}: refused: {error}")

    if _ONLY_CHECKS.get():
        raise ChecksEndedError(lines, refusals)


def folder_check(what: str, folder: str | Path, key: str) -> Check:
    """Whether files can be written to a folder, which need not exist.

    Args:
        what: will be written there.
        folder: its path.
        key: of the settings, that names it.
    """

    def look() -> str:
        check_writable(folder, key, folder=True)
        return f"{folder} can be written"

    return Check(what, look)


def file_check(what: str, file: str | Path, key: str) -> Check:
    """Whether a file can be written, which need not exist, nor its folder.

    Args:
        what: it will hold.
        file: its path.
        key: of the settings, that names it.
    """

    def look() -> str:
        check_writable(file, key, folder=False)
        return f"{file} can be written"

    return Check(what, look)


def space_check(folder: str | Path, n_bytes: Callable[[], int], key: str) -> Check:
    """Whether a disk has room for what will be written to a folder.

    Args:
        folder: it need not exist.
        n_bytes: about how many bytes will be written.
        key: of the settings, that names the folder.
    """

    def look() -> str:
        needed = n_bytes()
        there = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        if needed > free:
            raise SettingsError(
                f"{key} is {folder}: about {needed / 1e9:,.2f} GB will be written there, and its disk has "
                f"{free / 1e9:,.2f} GB free. Make room, or name another folder"
            )
        return f"about {needed / 1e6:,.0f} MB to write in {folder}, {free / 1e9:,.1f} GB free"

    return Check("disk", look)
