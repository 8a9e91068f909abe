"""An item's numbers as Markdown and CSV. Needs no torch."""

from collections.abc import Sequence
from typing import NamedTuple

from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.plain_output import one_line
from ood_lightning.report.tables import Table, paragraphs
from ood_lightning.reproduction.entries import title_of
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Item, Kind

HEADINGS = {
    "auroc": "AUROC",
    "fpr95": "FPR95",
    "f1": "F1",
    "positives": "|P|",
    "label_ratio": "|P| / C",
    "fpr95_change": "change of FPR95",
    "dropped": "words dropped",
    "memory": "GB",
    "gpu_memory": "GB",
}
QUOTED = " (quoted)"
NOT_RUN = "not run: "
CSV_COLUMNS = (
    "panel",
    "row",
    "column",
    "measure",
    "ours",
    "low",
    "high",
    "std",
    "published",
    "difference",
    "verdict",
    "convention",
    "quoted",
    "supervision",
    "not_run",
)


class Shape(NamedTuple):
    """A panel as the paper prints it.

    Attributes:
        title: above it.
        columns: headings.
        rows: names, and the cells of each; one text alone where the whole row was not run.
    """

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def shapes(item: Item, entries: Sequence[Entry], kind: Kind) -> list[Shape]:
    """The panels of an item, our values alone.

    Args:
        item: whose panels.
        entries: its numbers.
        kind: full, or a twin.
    """
    made = []
    for number, panel in enumerate(item.panels):
        of_panel = [entry for entry in entries if entry.panel == number]
        measures = {
            entry.column: dict.fromkeys(e.measure for e in of_panel if e.column == entry.column) for entry in of_panel
        }
        columns = [f"{column}: {' / '.join(heading(m) for m in of_column)}" for column, of_column in measures.items()]
        if len({tuple(of_column) for of_column in measures.values()}) == 1:
            columns = list(measures)

        shared = "" if columns != list(measures) else " / ".join(heading(m) for m in next(iter(measures.values()), {}))
        title = ": ".join(part for part in (title_of(item, panel, kind), shared) if part)
        rows = [_row(name, list(measures), of_panel) for name in dict.fromkeys(entry.row for entry in of_panel)]
        made.append(Shape(title, columns, rows))
    return made


def heading(measure: str) -> str:
    """A measure as tables call it."""
    return HEADINGS.get(measure, measure.replace("_", " "))


def _row(name: str, columns: Sequence[str], of_panel: Sequence[Entry]) -> tuple[str, list[str]]:
    of_row = [entry for entry in of_panel if entry.row == name]
    label = f"{name}{QUOTED}" if any(entry.quoted for entry in of_row) else name
    missing = {entry.missing for entry in of_row}
    if len(missing) == 1 and "" not in missing:
        return label, [f"{NOT_RUN}{missing.pop()}"]
    return label, [" / ".join(value(entry) for entry in of_row if entry.column == column) for column in columns]


def value(entry: Entry) -> str:
    """`94.56`; counts without decimals; why it was not run."""
    if entry.ours is None:
        return f"{NOT_RUN}{entry.missing}"
    return f"{entry.ours.value:,.0f}" if entry.measure in _COUNTS else f"{entry.ours.value:.2f}"


_COUNTS = ("positives", "negatives", "dropped", "asked", "in_use")


def with_interval(entry: Entry) -> str:
    """`94.56 [94.20, 94.91]`; of a mean over runs `94.56 ± 0.12`."""
    if entry.ours is None:
        return value(entry)
    if interval := entry.ours.interval:
        return f"{value(entry)} [{interval[0]:.2f}, {interval[1]:.2f}]"
    return value(entry) if entry.ours.std is None else f"{value(entry)} ± {entry.ours.std:.2f}"


def markdown(title: str, item: Item, entries: Sequence[Entry], kind: Kind) -> str:
    """The panels in the paper's shape, our intervals, and each number beside the published one.

    Args:
        title: of the page.
        item: whose.
        entries: its numbers.
        kind: full, or a twin.
    """
    parts = [f"# {one_line(title)}", one_line(item.title) + "."]
    if kind == "twin":
        parts.append(
            "**A scaled-down twin on the built-in drawings, not the paper's experiment**: other pictures, another "
            f"model, smaller settings; nothing here is compared with the paper. {one_line(item.twin_note)}".strip()
        )
    parts += [one_line(item.note)] if item.note else []

    parts += [_paragraphs(shape) for shape in shapes(item, entries, kind)]
    parts += [*_intervals(item, entries, kind), *_comparison(entries), legend(entries)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _paragraphs(shape: Shape) -> str:
    width = len(shape.columns)
    rows = [[name, *cells, *[""] * (width - len(cells))] for name, cells in shape.rows]
    return paragraphs(Table(shape.title, [["", *shape.columns], *rows]))


def _intervals(item: Item, entries: Sequence[Entry], kind: Kind) -> list[str]:
    """Our values with their intervals, a table for each panel and measure, where no table of comparisons has them."""
    written = []
    for number, panel in enumerate(item.panels):
        of_panel = [entry for entry in entries if entry.panel == number and _is_unsure(entry)]
        if any(entry.printed is not None for entry in of_panel):
            continue
        for measure in dict.fromkeys(entry.measure for entry in of_panel):
            cells = {(e.row, e.column): with_interval(e) for e in of_panel if e.measure == measure}
            columns, rows = (list(dict.fromkeys(key[i] for key in cells)) for i in (1, 0))
            interval = f"{heading(measure)} with its 95 % bootstrap interval"
            title = ": ".join(filter(None, [title_of(item, panel, kind), interval]))
            shape = Shape(title, columns, [(row, [cells.get((row, c), "") for c in columns]) for row in rows])
            written.append(_paragraphs(shape))
    return written


def _is_unsure(entry: Entry) -> bool:
    """Whether it has an interval or a standard deviation."""
    return entry.ours is not None and (entry.ours.interval is not None or entry.ours.std is not None)


def _comparison(entries: Sequence[Entry]) -> list[str]:
    rows = [
        [
            f"{entry.row}{QUOTED if entry.quoted else ''}",
            entry.column,
            heading(entry.measure),
            with_interval(entry) if entry.ours else "not run",
            f"{entry.printed:g}",
            "" if entry.difference is None else f"{entry.difference:+.2f}",
            entry.verdict,
        ]
        for entry in entries
        if entry.printed is not None
    ]

    header = ["row", "column", "measure", "ours", "published", "difference", "verdict"]
    return [paragraphs(Table("Beside the published numbers", [header, *rows]))] if rows else []


def legend(entries: Sequence[Entry]) -> str:
    """What the numbers are."""
    from ood_lightning.functional.conventions import CONVENTIONS  # torch

    rules = dict.fromkeys(entry.convention for entry in entries if entry.convention)
    sentences = ["AUROC (higher is better), FPR95 (lower is better) and other shares in percent."]
    sentences += [f"FPR95 by the rule {rule!r}: {CONVENTIONS[rule][1]}." for rule in rules]
    if any(entry.quoted for entry in entries):
        sentences.append("Quoted: the paper did not measure this row but took it from another one.")
    if any(entry.verdict for entry in entries):
        sentences.append(
            "Verdict: whether the published number lies inside our 95 % interval; else whether ours is within 0.5 "
            "points of it."
        )
    if any(entry.ours and entry.ours.std is not None for entry in entries):
        sentences.append("±, in an interval's place: sample standard deviation over runs, or orders of the stream.")
    return " ".join(sentences)


def sheet(entries: Sequence[Entry]) -> bytes:
    """The numbers as CSV, unrounded, in the units of the tables."""
    return csv_bytes([CSV_COLUMNS, *lines(entries)], "\n")


def lines(entries: Sequence[Entry]) -> list[list[object]]:
    """The lines of :func:`sheet`, in the order of `CSV_COLUMNS`."""
    rows: list[list[object]] = []
    for entry in entries:
        ours = entry.ours or (None, None, None, None)
        of_both = (entry.printed, entry.difference, entry.verdict, entry.convention)

        quoted, supervision = "yes" if entry.quoted else "", "+".join(entry.supervision)
        of_row = (entry.panel, entry.row, entry.column, entry.measure)
        rows.append([*of_row, *ours, *of_both, quoted, supervision, entry.missing])
    return rows
