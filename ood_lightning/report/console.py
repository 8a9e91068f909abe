"""The terminal for names that people chose: no text is taken for markup, and no word is cut short."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ood_lightning.plain_output import one_line, plain_text

WIDTH = 160  # columns where no terminal says


class _PlainConsole(Console):
    """Rich's console, which makes a text of every string in this one place."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text, in which all that would act on the terminal is spelt out."""
        return super().render_str(plain_text(text), **options)

    def on_broken_pipe(self) -> None:
        """Leave it to the command, as after any other write; rich would end the process with status 1."""
        raise


def console() -> Console:
    """Standard output; `[red]` is a word like any other, and an escape sequence is spelt out."""
    output = getattr(sys.stdout, "unguarded", sys.stdout)  # styles are escape sequences too
    width = None if output.isatty() else WIDTH
    return _PlainConsole(file=output, width=width, markup=False, highlight=False, emoji=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], show_edge: bool = True) -> Table:
    """A plain table; the first column to the left, the others, which are mostly numbers, to the right."""
    headings = [Column(name, justify="right" if i else "left", overflow="fold") for i, name in enumerate(columns)]
    rich_table = Table(*headings, title=title, title_justify="left", box=SIMPLE, show_edge=show_edge)
    for row in rows:
        rich_table.add_row(*map(one_line, row))
    return rich_table
