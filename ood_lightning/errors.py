"""Errors that a person can act on: what was wrong, where, what was expected, what to do.

The command line prints the text of a :class:`UserError` and no traceback. This module imports nothing of the package,
so that it may be imported anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

SOME_UNREAD = 1  # exit status: done, but some pictures could not be read; they are listed
TERMINATED = 143  # what shells report for SIGTERM; Lightning itself leaves with 0
MORE_FILES = "Allow more (`ulimit -n 4096`), or use fewer num_workers"  # what to do about too many open files


class UserError(Exception):
    """An error that a person can act on; the command line prints its text without a traceback."""

    def __reduce__(self) -> tuple[Callable[..., UserError], tuple[type[UserError], str]]:  # from worker processes
        return type(self).__new__, (type(self), str(self))  # past `__init__`, which takes the parts of the text


def first_line(error: Exception) -> str:
    """The first line of another library's error; the name of its class where it has no text."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class EmptySideError(UserError, ValueError):
    """A comparison of ID with OOD scores of which one side is empty."""

    def __init__(self, n_id: int, n_ood: int) -> None:
        super().__init__(
            f"{n_id} ID and {n_ood} OOD scores: a comparison needs at least one of each. Check that both sets hold "
            f"pictures."
        )


class NotFiniteScoresError(UserError, ValueError):
    """Scores that hold NaN or infinity."""


class CalibrationError(UserError, ValueError):
    """Calibration scores that promise nothing: none, NaN, or a file that holds something else."""


class CorpusError(UserError, ValueError):
    """A word list or a prompt set that cannot be used."""


class SourceError(UserError, FileNotFoundError):
    """A set, shard or file that is not where it was said to be."""


class UnwritableError(UserError, RuntimeError):
    """A file that a run has to write and cannot: a full disk, a folder of somebody else's."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(
            f"{path} cannot be written: {reason}. Make room, or name another place; what is finished is kept, and the "
            f"same command goes on."
        )


class RefusedError(SourceError):
    """A file that a server refuses to send."""


class ManifestError(UserError, ValueError):
    """A manifest that cannot be read, or that does not fit the shards beside it."""


class ShardCountError(UserError, RuntimeError):
    """A set yielded another number of samples than its manifest promises."""

    def __init__(self, name: str, seen: int, promised: int) -> None:
        super().__init__(
            f"{name} yielded {seen} samples, its manifest promises {promised}: a shard is missing or truncated. "
            f"Copy it again, or make the manifest anew."
        )


class ShardContentError(UserError, RuntimeError):
    """A shard whose bytes or pictures are damaged."""


class FeatureError(UserError, RuntimeError):
    """Stored features that are missing, incomplete or not finite."""


class EncoderError(UserError, ValueError):
    """An encoder that cannot be loaded, or that would silently compute something else."""


class GateError(UserError, RuntimeError):
    """A model whose top-1 accuracy on a known set is not the published one."""


class LabelSetError(UserError, ValueError):
    """A label set that cannot be read, is empty, or was made with another encoder."""


class DetectorError(UserError, ValueError):
    """A detector folder that is damaged, incomplete, of another version, or cannot be made."""


class SettingsError(UserError, ValueError):
    """Settings that contradict one another or what lies on disk."""


def check_least(minimum: float, **settings: float) -> None:
    """Refuse settings below a minimum, by their names."""
    for name, value in settings.items():
        if value < minimum:
            raise SettingsError(f"{name} is {value}: expected {minimum} or more")


def percent_hint(value: object) -> str:
    """`: 0.94, not 94` for a number that looks like a share in percent; nothing for others."""
    return f": {value / 100:g}, not {value:g}" if isinstance(value, int | float) and 2 <= value <= 100 else ""
