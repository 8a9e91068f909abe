"""Files that are written in two halves, with something in between, such as a process's death."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_in_halves(between: Callable[[Path], object]) -> None:
    """From now on, in this process: what is opened for writing through its path is written and flushed by halves.

    Args:
        between: called with the path after the first half of each call of `write`.
    """
    opened = Path.open

    class InHalves(io.FileIO):
        def write(self, data: Any) -> int:
            whole = bytes(data)
            half = len(whole) // 2
            first = super().write(whole[:half])
            between(Path(str(self.name)))
            return first + super().write(whole[half:])

    def open_in_halves(self: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        return InHalves(self, "w") if mode == "wb" else opened(self, mode, *arguments, **named)

    Path.open = open_in_halves  # type: ignore[assignment,method-assign]
