"""A file of answers that cost something: one line each, appended as they are made, so that none is asked for again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ood_lightning.errors import UserError


class AppendedLines:
    """A text file that grows by whole lines.

    A run that is killed while it writes leaves an unfinished line at the end; it is cut off before the next line is
    appended.

    Args:
        path: of the file; it need not exist.
        error: makes an error from its text.

    Attributes:
        lines: the finished ones that were there. Bytes that are no UTF-8 are lone surrogates, which a JSON reader
            refuses.

    Raises:
        UserError: the file cannot be read.
    """

    def __init__(self, path: Path, error: Callable[[str], UserError]) -> None:
        self.path = path
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as cause:
            raise error(f"{path} cannot be read: {cause.strerror}") from cause

        self._finished_bytes = content.rfind(b"\n") + 1
        self._has_unfinished_line = self._finished_bytes < len(content)
        text = content[: self._finished_bytes].decode(errors="surrogateescape").removeprefix("\ufeff")
        self.lines = text.split("\n")[:-1]

    def add(self, lines: Sequence[str]) -> None:
        """Append lines, which hold no line ends; they are in the file when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._has_unfinished_line:
            with self.path.open("r+b") as file:
                file.truncate(self._finished_bytes)
            self._has_unfinished_line = False

        with self.path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
