"""Curves and histograms as SVG or PNG; the same values give the same bytes under one release of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which stay apart for colour-blind eyes, then two of their darker shades
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#004c77", "#8c3d00")
STYLE = {
    "svg.hashsalt": "ood_lightning",  # ids that repeat
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a name may have dollars
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "lines.markersize": 5,
    "legend.frameon": False,
}


def draw_curve(axes: Axes, title: str, x_label: str, x: Sequence[float], y: Sequence[float], marked: int) -> None:
    """Draw a line through points.

    Args:
        axes: where to.
        title: above it.
        x_label: below it.
        x: values, ascending.
        y: one each.
        marked: index of a point to ring.
    """
    axes.set(title=title, xlabel=x_label)
    axes.plot(x, y, "o-", color=COLOURS[0])
    axes.plot(x, y, "o", markevery=[marked], color=COLOURS[1], markersize=14, fillstyle="none")


@dataclass(frozen=True)
class Histogram:
    """Several counts on one pair of axes, each normalised to a sum of 1: outlines of bins, or dots at whole numbers.

    Args:
        title: above.
        x_label: below.
        series: counts by what they are of; at most eight of them, none empty.
        whole: they are of 0, 1, 2, ... rather than of equal bins over [-1, 1].
    """

    title: str
    x_label: str
    series: Mapping[str, Sequence[int]]
    whole: bool = False

    def draw(self, axes: Axes) -> None:
        """Draw it.

        Raises:
            ValueError: if there are more series than colours, or one is empty.
        """
        if len(self.series) > len(COLOURS) or not all(map(sum, self.series.values())):
            raise ValueError(
                f"{len(self.series)} histograms: at most {len(COLOURS)}, none of them empty, fit into a picture"
            )

        axes.set(title=self.title, xlabel=self.x_label)
        for colour, (name, counts) in zip(COLOURS, self.series.items(), strict=False):
            shares = [n / sum(counts) for n in counts]
            label = f" {name}"  # the blank since legends leave out what begins with an underscore
            if self.whole:
                axes.plot(shares, "o-", color=colour, label=label)
            else:
                filled = [i for i, share in enumerate(shares) if share]
                edges = [2 * i / len(shares) - 1 for i in range(filled[0], filled[-1] + 2)]
                axes.stairs(shares[filled[0] : filled[-1] + 1], edges, color=colour, linewidth=2, label=label)

        axes.set_ylim(bottom=0)
        axes.legend()


@dataclass(frozen=True)
class Curves:
    """Several lines of a measure over a setting, each point with its interval.

    Args:
        title: above.
        x_label: below.
        y_label: beside.
        series: points by the name of their line: place, value, and the ends of the interval if there is one.
        ticks: names of the places 0, 1, 2, ...; empty where places are numbers.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float, tuple[float, float] | None]]]
    ticks: tuple[str, ...] = ()

    def draw(self, axes: Axes) -> None:
        """Draw it; places that grow more than twentyfold are drawn by their logarithm."""
        axes.set(title=self.title, xlabel=self.x_label, ylabel=self.y_label)
        for colour, (name, points) in zip(COLOURS, self.series.items(), strict=False):
            x, y = [point[0] for point in points], [point[1] for point in points]
            label = f" {name}"  # the blank since legends leave out what begins with an underscore
            axes.plot(x, y, "o-", color=colour, label=label)
            for position, _, interval in points:
                if interval is not None:
                    axes.plot([position, position], interval, color=colour, linewidth=1.5, alpha=0.6)

        places = [point[0] for points in self.series.values() for point in points]
        if self.ticks:
            axes.set_xticks(range(len(self.ticks)), self.ticks, rotation=20)
        elif min(places) > 0 and max(places) > 20 * min(places):
            axes.set_xscale("log")
            values = sorted(set(places))
            axes.set_xticks(values, [f"{value:g}" for value in values])  # powers of ten would be formulas
            axes.minorticks_off()
        if list(self.series) != [""]:
            axes.legend()


def svg(parts: Sequence[Callable[[Axes], None]], columns: int, width: float) -> str:
    """One picture of several parts, each with axes of its own.

    Args:
        parts: what draws them, in reading order; they fill all rows.
        columns: parts in a row.
        width: of a part, in inches; its height is three quarters of that.
    """
    return _drawn(parts, columns, width, format="svg", metadata={"Date": None, "Creator": None}).decode()


def png(parts: Sequence[Callable[[Axes], None]], columns: int, width: float) -> bytes:
    """The picture of :func:`svg` as pixels, for what shows no SVG."""
    return _drawn(parts, columns, width, format="png", dpi=150)


def _drawn(parts: Sequence[Callable[[Axes], None]], columns: int, width: float, **form: Any) -> bytes:
    from matplotlib import style
    from matplotlib.figure import Figure

    file = BytesIO()
    with style.context(["default", STYLE]):
        rows = len(parts) // columns
        figure = Figure(figsize=(columns * width, rows * width * 3 / 4), layout="constrained")
        for axes, draw in zip(figure.subplots(rows, columns, squeeze=False).flat, parts, strict=True):
            draw(axes)
        figure.savefig(file, **form)
    return file.getvalue()
