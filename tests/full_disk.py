"""A disk on which nothing fits any more, behind `Path.open`."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch


class FullFile(io.FileIO):
    """Takes one byte, and then has no room."""

    def write(self, data: Any) -> int:
        super().write(bytes(data[:1]))
        raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def full_disk() -> Iterator[None]:
    """Files that are opened for writing through their paths find no room."""
    opened = Path.open

    def open_full(self: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        return FullFile(self, "w") if mode == "wb" else opened(self, mode, *arguments, **named)

    with patch.object(Path, "open", open_full):
        yield
