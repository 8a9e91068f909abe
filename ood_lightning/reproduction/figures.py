"""An item's figure in the shape of the paper's, as SVG; the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.report.plots import COLOURS, Histogram, png, svg
from ood_lightning.reproduction.entries import title_of
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Draw, Item, Kind
from ood_lightning.reproduction.tables import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = "positives"  # is drawn against an axis of its own, on the right
WIDTH = 5.5  # of a panel, in inches


@dataclass(frozen=True)
class Axis:
    """One pair of axes.

    Args:
        title: above.
        label: below.
        draw: how.
        entries: what has a value.
        base: the row that a shift is from.
    """

    title: str
    label: str
    draw: Draw
    entries: Sequence[Entry]
    base: str = ""

    def paint(self, axes: Axes) -> None:
        """Draw it; with nothing to draw, say so."""
        axes.set(title=self.title)
        if not self.entries:
            axes.text(0.5, 0.5, "not run", ha="center", va="center", transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
            return

        left = [entry for entry in self.entries if entry.measure != BESIDE] or list(self.entries)
        right = [entry for entry in self.entries if entry not in left]
        axes.set(xlabel=self.label, ylabel=_unit(left))
        if self.draw == "histograms":
            series = {f"{entry.row}": entry.bins for entry in left}
            axes.set(ylabel="share of words")
            Histogram(self.title, self.label, series, whole=left[0].measure == "hops").draw(axes)
        elif self.draw == "curves":
            self._curves(axes, left, right)
        else:
            self._bars(axes, left, with_shift=self.draw == "shift")

    def _curves(self, axes: Axes, left: Sequence[Entry], right: Sequence[Entry]) -> None:
        rows = list(dict.fromkeys(entry.row for entry in self.entries))
        numbers = all(map(_is_number, rows))
        places = {row: float(row) if numbers else float(i) for i, row in enumerate(rows)}

        series = _series(left)
        for colour, (name, points) in zip(COLOURS, series.items(), strict=False):
            ordered = sorted(points, key=lambda entry: places[entry.row])
            y = [entry.ours.value for entry in ordered if entry.ours]
            axes.plot([places[entry.row] for entry in ordered], y, "o-", color=colour, label=f" {name}")
            for entry in ordered:
                if entry.ours and (interval := entry.ours.interval):
                    axes.plot([places[entry.row]] * 2, interval, color=colour, linewidth=1.5, alpha=0.6)

        if numbers and min(places.values()) > 0 and max(places.values()) > 20 * min(places.values()):
            axes.set_xscale("log")
        axes.set_xticks(list(places.values()), rows, rotation=0 if numbers else 20)
        axes.minorticks_off()
        if right:
            self._right(axes, right, places)
        axes.legend()

    def _right(self, axes: Axes, right: Sequence[Entry], places: Mapping[str, float]) -> None:
        beside = axes.twinx()
        ordered = sorted(right, key=lambda entry: places[entry.row])
        y = [entry.ours.value for entry in ordered if entry.ours]
        beside.plot([places[entry.row] for entry in ordered], y, "s--", color="#666666")
        beside.set(ylabel=heading(BESIDE))
        beside.grid(False)

    def _bars(self, axes: Axes, left: Sequence[Entry], with_shift: bool) -> None:
        rows = list(dict.fromkeys(entry.row for entry in left))
        series = _series(left)
        width = 0.8 / len(series)
        for number, (colour, (name, points)) in enumerate(zip(COLOURS, series.items(), strict=False)):
            at = [rows.index(entry.row) + (number - (len(series) - 1) / 2) * width for entry in points]
            heights = [entry.ours.value for entry in points if entry.ours]
            axes.bar(at, heights, width, color=colour, label=f" {name}")
            for x, entry in zip(at, points, strict=True):
                if entry.ours and (interval := entry.ours.interval):
                    axes.plot([x] * 2, interval, color="#222222", linewidth=1)
            if with_shift and points[0].row == self.base:
                for x, height in list(zip(at, heights, strict=True))[1:]:
                    change = f"{100 * (height / heights[0] - 1):+.1f}"
                    axes.text(x, height, change, ha="center", va="bottom", fontsize=6)

        lowest = min(entry.ours.low or entry.ours.value for entry in left if entry.ours)
        axes.set_ylim(bottom=max(0.0, lowest - 3))
        axes.set_xticks(range(len(rows)), rows, rotation=20 if len(rows) < 6 else 40, ha="right")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))  # over bars it would hide some


def _series(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries by the names of their lines."""
    several = len({entry.measure for entry in entries}) > 1
    series: dict[str, list[Entry]] = {}
    for entry in entries:
        name = f"{entry.column}, {heading(entry.measure)}" if several else entry.column
        series.setdefault(name, []).append(entry)
    return series


def _unit(entries: Sequence[Entry]) -> str:
    measures = list(dict.fromkeys(heading(entry.measure) for entry in entries))
    return f"{', '.join(measures)} (%)" if {"AUROC", "FPR95"} & set(measures) else ", ".join(measures)


def _is_number(text: str) -> bool:
    try:
        return float("-inf") < float(text) < float("inf")
    except ValueError:
        return False


def drawn(item: Item, entries: Sequence[Entry], kind: Kind) -> str | None:
    """The panels that are drawn, one beside the other, as SVG; None: the item is a table alone.

    Args:
        item: whose panels.
        entries: its numbers.
        kind: full, or a twin.
    """
    figure = _figure(item, entries, kind)
    return None if figure is None else svg(figure.parts, figure.columns, WIDTH)


def pixels(item: Item, entries: Sequence[Entry], kind: Kind) -> bytes | None:
    """The figure of :func:`drawn` as PNG."""
    figure = _figure(item, entries, kind)
    return None if figure is None else png(figure.parts, figure.columns, WIDTH)


class _Figure(NamedTuple):
    """What draws each panel, and how many stand in a row."""

    parts: list[Callable[[Axes], None]]
    columns: int


def _figure(item: Item, entries: Sequence[Entry], kind: Kind) -> _Figure | None:
    axes = []
    for number, panel in enumerate(item.panels):
        if panel.draw is None:
            continue
        of_panel = [entry for entry in entries if entry.panel == number and entry.ours is not None]
        base = next((entry.row for entry in entries if entry.panel == number), "")
        axes.append(Axis(title_of(item, panel, kind), panel.label or panel.over, panel.draw, of_panel, base))
    if not axes:
        return None
    columns = next(n for n in (3, 2, 1) if len(axes) % n == 0)
    return _Figure([axis.paint for axis in axes], columns)
