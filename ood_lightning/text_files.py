"""Text that people edit: UTF-8, with or without a byte order mark, lines ended as on any system."""

import re
from collections.abc import Callable
from pathlib import Path

from ood_lightning.errors import UserError


def read_text(path: Path, kind: str, error: Callable[[str], UserError]) -> str:
    """A file in UTF-8 without the byte order mark that editors on Windows begin it with, line ends as they are.

    Args:
        path: of the file.
        kind: what it is, for errors.
        error: makes the error from its text, usually the error's class.

    Raises:
        UserError: what `error` makes; the file is missing, is none, or is not UTF-8 (names line and column).
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise error(f"{kind} {path} does not exist (looked from {Path.cwd()}). Give its path.") from None
    except OSError as cause:
        raise error(f"{kind} {path} cannot be read: {cause.strerror}. Give a readable text file.") from None
    except UnicodeDecodeError as cause:
        line = cause.object.count(b"\n", 0, cause.start) + 1
        column = cause.start - cause.object.rfind(b"\n", 0, cause.start)
        raise error(
            f"{kind} {path}, line {line}: byte 0x{cause.object[cause.start]:02x} at column {column} is no UTF-8. Save "
            f"the file as UTF-8 (`iconv -f latin1 -t utf-8` for a Latin-1 one)."
        ) from None


def lines_of(text: str) -> list[str]:
    r"""Lines that end with LF, CR or both, as editors write them; a separator such as U+2028 ends none.

    Example:
        >>> lines_of("a\r\nb\u2028c\rd\n")
        ['a', 'b\u2028c', 'd']
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]
