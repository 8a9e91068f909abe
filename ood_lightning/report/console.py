"""The terminal for names that people chose: no text is taken for markup, and no word is cut short."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

WIDTH = 160  # columns where no terminal says


def console() -> Console:
    """Standard output; `[red]` is a word like any other."""
    return Console(width=None if Console().is_terminal else WIDTH, markup=False, highlight=False, emoji=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], show_edge: bool = True) -> Table:
    """A plain table; the first column to the left, the others, which are mostly numbers, to the right."""
    headings = [Column(name, justify="right" if i else "left", overflow="fold") for i, name in enumerate(columns)]
    rich_table = Table(*headings, title=title, title_justify="left", box=SIMPLE, show_edge=show_edge)
    for row in rows:
        rich_table.add_row(*row)
    return rich_table
