"""An item's numbers as LaTeX. Needs no torch."""

import re
from collections.abc import Sequence

from ood_lightning.plain_output import one_line
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Item, Kind
from ood_lightning.reproduction.tables import NOT_RUN, QUOTED, shapes, value


def latex(item: Item, entries: Sequence[Entry], kind: Kind) -> str:
    r"""Each panel as a `tabular` with rules of booktabs; a published number stands in brackets behind ours."""
    parts = ["% needs \\usepackage{booktabs}" + ("; a twin on built-in drawings" if kind == "twin" else "")]
    printed = {(e.panel, e.row, e.column): [] for e in entries}  # type: dict[tuple[int, str, str], list[Entry]]
    for entry in entries:
        printed[entry.panel, entry.row, entry.column].append(entry)

    for number, shape in enumerate(shapes(item, entries, kind)):
        width = len(shape.columns)
        lines = [f"\\begin{{tabular}}{{l{'c' * width}}}", "\\toprule"]
        lines += [f"\\multicolumn{{{width + 1}}}{{l}}{{{_tex(shape.title)}}} \\\\"] if shape.title else []
        lines += [" & ".join(["", *map(_tex, shape.columns)]) + " \\\\", "\\midrule"]
        for name, cells in shape.rows:
            if len(cells) < width or (width == 1 and cells[0].startswith(NOT_RUN)):
                lines.append(f"{_tex(name)} & \\multicolumn{{{width}}}{{l}}{{{_tex(cells[0])}}} \\\\")
                continue
            of_row = [v for k, v in printed.items() if k[0] == number and k[1] == name.removesuffix(QUOTED)]
            lines.append(" & ".join([_tex(name), *map(_tex, map(_beside, of_row))]) + " \\\\")
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def _beside(of_cell: Sequence[Entry]) -> str:
    ours = " / ".join("--" if entry.ours is None else value(entry) for entry in of_cell)
    published = [f"{entry.printed:g}" for entry in of_cell if entry.printed is not None]
    return f"{ours} ({' / '.join(published)})" if published else ours


def _tex(text: str) -> str:
    r"""A text as LaTeX takes it.

    Example:
        >>> _tex("NegLabel* 5 % |P|_x")
        'NegLabel* 5 \\% \\textbar{}P\\textbar{}\\_x'
    """
    spelt = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "|": "\\textbar{}"}
    return re.sub(r"[\\~^|&%$#_{}]", lambda match: spelt.get(match[0], f"\\{match[0]}"), one_line(text))
