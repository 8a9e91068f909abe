"""Curves and histograms as SVG, written by hand: no plotting package, no font, the same bytes everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Okabe and Ito's colours, which stay apart for colour-blind eyes, then two of their darker shades
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#004c77", "#8c3d00")
WIDTH, HEIGHT = 320, 240  # pixels of a panel
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 30, 44  # of them around the axes
TICKS = 5


@dataclass(frozen=True)
class Panel:
    """One curve.

    Args:
        title: above it.
        x: values, ascending.
        y: one each.
        marked: index of a point to ring, if any.
    """

    title: str
    x: Sequence[float]
    y: Sequence[float]
    marked: int | None = None


def curves(panels: Sequence[Panel], x_label: str, columns: int = 2) -> str:
    """Panels side by side, each with axes of its own.

    Args:
        panels: in reading order.
        x_label: below each of them.
        columns: panels in a row.
    """
    drawn = []
    for i, panel in enumerate(panels):
        frame = _Frame.around(panel.x, panel.y)
        points = [(frame.across(x), frame.down(y)) for x, y in zip(panel.x, panel.y, strict=True)]
        body = [_line(points, COLOURS[0]), *(_dot(p, 3, COLOURS[0]) for p in points)]
        if panel.marked is not None:
            body.append(_dot(points[panel.marked], 7, "none", COLOURS[1]))
        at = f"translate({i % columns * WIDTH} {i // columns * HEIGHT})"
        drawn.append(f'<g transform="{at}">{frame.drawn(panel.title, x_label)}{"".join(body)}</g>')
    rows = -(-len(panels) // columns)
    return _svg(min(columns, len(panels)) * WIDTH, rows * HEIGHT, drawn)


@dataclass(frozen=True)
class Histogram:
    """Several counts on one pair of axes, each normalised to a sum of 1.

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


def histograms(pictures: Sequence[Histogram]) -> str:
    """Histograms side by side: outlines of bins, or dots at whole numbers.

    Args:
        pictures: from left to right.

    Raises:
        ValueError: if there are more series than colours, or one is empty.
    """
    drawn = []
    for i, picture in enumerate(pictures):
        series = picture.series
        if len(series) > len(COLOURS) or not all(sum(counts) for counts in series.values()):
            raise ValueError(
                f"{len(series)} histograms: at most {len(COLOURS)}, none of them empty, fit into a picture"
            )
        shares = {name: [n / sum(counts) for n in counts] for name, counts in series.items()}
        lines = _dots(shares) if picture.whole else _outlines(shares)
        points = [point for line in lines.values() for point in line]
        frame = _Frame.around([x for x, _ in points], [0, *(y for _, y in points)], scale=2)
        body, left = [], WIDTH if picture.whole else LEFT + 8  # most words are few hops away
        for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
            at = [(frame.across(x), frame.down(y)) for x, y in line]
            body += [_line(at, colour), *(_dot(point, 3, colour) for point in at if picture.whole)]
            y = TOP + 14 + 16 * COLOURS.index(colour)
            body.append(f'<rect x="{left}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
            body.append(_text(left + 16, y, name, "start"))
        title = frame.drawn(picture.title, picture.x_label)
        drawn.append(f'<g transform="translate({2 * i * WIDTH} 0)">{title}{"".join(body)}</g>')
    return _svg(2 * len(pictures) * WIDTH, 2 * HEIGHT, drawn)


def _dots(shares: Mapping[str, Sequence[float]]) -> dict[str, list[tuple[float, float]]]:
    return {name: [(float(x), share) for x, share in enumerate(part)] for name, part in shares.items()}


def _outlines(shares: Mapping[str, Sequence[float]]) -> dict[str, list[tuple[float, float]]]:
    """Steps around equal bins over [-1, 1], from the first to the last that any series fills."""
    filled = [i / len(part) for part in shares.values() for i, share in enumerate(part) if share]
    low, high = min(filled), max(filled) + 1 / min(map(len, shares.values()))
    lines = {}
    for name, part in shares.items():
        edges = [i / len(part) for i in range(len(part) + 1)]
        kept = [i for i in range(len(part)) if low - 1e-9 <= edges[i] < high - 1e-9]
        steps = [(2 * edges[i + side] - 1, part[i]) for i in kept for side in (0, 1)]
        lines[name] = [(steps[0][0], 0.0), *steps, (steps[-1][0], 0.0)]
    return lines


@dataclass(frozen=True)
class _Frame:
    """Axes of a panel: from values to pixels."""

    x_ticks: list[float]
    y_ticks: list[float]
    scale: int

    @classmethod
    def around(cls, x: Sequence[float], y: Sequence[float], scale: int = 1) -> _Frame:
        return cls(ticks(min(x), max(x)), ticks(min(y), max(y)), scale)

    def across(self, x: float) -> float:
        share = (x - self.x_ticks[0]) / (self.x_ticks[-1] - self.x_ticks[0])
        return LEFT + share * (self.scale * WIDTH - LEFT - RIGHT)

    def down(self, y: float) -> float:
        share = (y - self.y_ticks[0]) / (self.y_ticks[-1] - self.y_ticks[0])
        return self.scale * HEIGHT - BOTTOM - share * (self.scale * HEIGHT - TOP - BOTTOM)

    def drawn(self, title: str, x_label: str) -> str:
        left, right = self.across(self.x_ticks[0]), self.across(self.x_ticks[-1])
        bottom, top = self.down(self.y_ticks[0]), self.down(self.y_ticks[-1])
        parts = [_text((left + right) / 2, 18, title, "middle", 13)]
        for x in self.x_ticks:
            parts.append(_text(self.across(x), bottom + 16, f"{x:g}", "middle"))
        for y in self.y_ticks:
            parts.append(_line([(left, self.down(y)), (right, self.down(y))], "#dddddd", 1))
            parts.append(_text(left - 6, self.down(y) + 4, f"{y:g}", "end"))
        parts.append(_line([(left, top), (left, bottom), (right, bottom)], "black", 1))
        parts.append(_text((left + right) / 2, bottom + 34, x_label, "middle"))
        return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` or below to `high` or above.

    >>> ticks(16, 384)
    [0.0, 100.0, 200.0, 300.0, 400.0]
    >>> ticks(0.5, 0.5)
    [0.0, 0.2, 0.4, 0.6]
    """
    if high == low:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    rough = (high - low) / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, last + 1)]


def _line(points: Sequence[tuple[float, float]], colour: str, width: float = 2) -> str:
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _dot(at: tuple[float, float], radius: float, fill: str, ring: str = "none") -> str:
    return f'<circle cx="{at[0]:.2f}" cy="{at[1]:.2f}" r="{radius}" fill="{fill}" stroke="{ring}" stroke-width="2"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 11) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = "\n".join(parts)
    return f'{head} font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
