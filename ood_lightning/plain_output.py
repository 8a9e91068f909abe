"""What reaches the terminal: plain text. A name cannot move the cursor, colour a line or turn words around."""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_OF_BARS = re.compile(r"\r|(?:\n|\x1b\[A)+")  # writes of progress bars: back to the line's start, lines up and down
_OF_WANDB = "\x1b[34m\x1b[1mwandb"  # how W&B begins its lines
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_SILENCED = (  # warnings that do not apply here
    "does not have many workers",
    "`srun` command is available",
    "is smaller than the logging interval",
    "treespec, LeafSpec",
    "distributed.nn.functional.all_gather is deprecated",
    "when logging on epoch level in distributed setting",  # what is logged was gathered, so it is equal on all ranks
    "returned `None`, this fit will run with no optimizer",  # k-means
    "args parameter is intended to run from within Python",
)


def plain_text(text: str) -> str:
    r"""A text with everything spelt out that is neither a visible character, a blank, a line break nor a tab.

    That is control and format characters, such as those that write from right to left, and bytes of file names that
    are no UTF-8.

    Example:
        >>> plain_text("caf\udce9 \x1b[2J")
        'caf\\udce9 \\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """The same for a cell or a line, with its line breaks and tabs spelt out too."""
    return plain_text(text).replace("\n", "\\n").replace("\t", "\\t")


class PlainStream:
    """A text stream that writes what :func:`plain_text` makes of each text.

    Args:
        unguarded: the stream below, for those who have spelt out their texts and write escape sequences of their own.
    """

    def __init__(self, unguarded: TextIO) -> None:
        self.unguarded = unguarded

    def write(self, text: str) -> int:
        """Write a text; a progress bar still goes back to the start of its line, W&B's lines lose their colours."""
        if _OF_BARS.fullmatch(text):
            return self.unguarded.write(text)

        start = "\r" if text.startswith("\r") else ""
        rest = _COLOURS.sub("", text) if text.startswith(_OF_WANDB) else text.removeprefix("\r")
        self.unguarded.write(start + plain_text(rest))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Standard output and standard error as plain streams: prints, bars, errors, warnings and logs all end there."""
    output, error = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, PlainStream(output)), cast(TextIO, PlainStream(error))
    logs, root = _LogLines(), logging.getLogger()
    root.addHandler(logs)
    try:
        yield
    finally:
        root.removeHandler(logs)
        sys.stdout, sys.stderr = output, error


def dropped_output() -> bool:
    """Whether nobody reads standard output any more, as behind `| head`; what is still written there goes nowhere."""
    poll = select.poll()
    poll.register(1, 0)
    is_closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain when it flushes at its end
    return is_closed


class _LogLines(logging.Handler):
    """Logs that no library prints itself, in the form of our lines; else the first one brings `WARNING:root:...`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to standard error."""
        if _has_own_handler(logging.getLogger(record.name)):
            return
        start = "warning: " if record.levelno >= logging.WARNING else ""
        print(f"{start}{record.getMessage()}", file=sys.stderr)


def _has_own_handler(logger: logging.Logger) -> bool:
    """Whether a logger or one above it, other than the root, prints what reaches it."""
    while logger.parent is not None:
        if logger.handlers:
            return True
        logger = logger.parent
    return False


def without_noise() -> None:
    """Keep back warnings of Lightning and torch that do not apply here, and Lightning's tips."""
    for words in _SILENCED:
        warnings.filterwarnings("ignore", message=f".*{words}.*")
    logging.getLogger("lightning").handlers.clear()  # which writes `INFO: ...`; ours writes the text alone
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )
