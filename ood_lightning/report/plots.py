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
TICKS = 5  # about as many on an axis

Point = tuple[float, float]


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
    groups = []
    for i, panel in enumerate(panels):
        corner = (i % columns * WIDTH, i // columns * HEIGHT)
        groups.append(_group(*corner, _curve(panel, x_label)))

    rows = -(-len(panels) // columns)  # rounded up
    return _svg(min(columns, len(panels)) * WIDTH, rows * HEIGHT, groups)


def _curve(panel: Panel, x_label: str) -> str:
    frame = _Frame.around(panel.x, panel.y)
    points = [frame.pixel(point) for point in zip(panel.x, panel.y, strict=True)]

    parts = [frame.drawn(panel.title, x_label), _line(points, COLOURS[0])]
    parts += [_dot(point, 3, COLOURS[0]) for point in points]
    if panel.marked is not None:
        parts.append(_dot(points[panel.marked], 7, "none", COLOURS[1]))
    return "".join(parts)


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
    groups = [_group(2 * i * WIDTH, 0, _histogram(picture)) for i, picture in enumerate(pictures)]
    return _svg(2 * len(pictures) * WIDTH, 2 * HEIGHT, groups)


def _histogram(picture: Histogram) -> str:
    series = picture.series
    if len(series) > len(COLOURS) or not all(sum(counts) for counts in series.values()):
        raise ValueError(f"{len(series)} histograms: at most {len(COLOURS)}, none of them empty, fit into a picture")

    shares = {name: [n / sum(counts) for n in counts] for name, counts in series.items()}
    lines = _dots(shares) if picture.whole else _outlines(shares)
    points = [point for line in lines.values() for point in line]
    frame = _Frame.around([x for x, _ in points], [0, *(y for _, y in points)], scale=2)

    parts = [frame.drawn(picture.title, picture.x_label)]
    left = WIDTH if picture.whole else LEFT + 8  # of the legend: most words are few hops away, so dots crowd the left
    for i, (name, line) in enumerate(lines.items()):
        colour, baseline = COLOURS[i], TOP + 14 + 16 * i
        pixels = [frame.pixel(point) for point in line]
        parts.append(_line(pixels, colour))
        if picture.whole:
            parts += [_dot(pixel, 3, colour) for pixel in pixels]
        parts.append(f'<rect x="{left}" y="{baseline - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(left + 16, baseline, name, "start"))
    return "".join(parts)


def _dots(shares: Mapping[str, Sequence[float]]) -> dict[str, list[Point]]:
    return {name: [(float(x), share) for x, share in enumerate(heights)] for name, heights in shares.items()}


def _outlines(shares: Mapping[str, Sequence[float]]) -> dict[str, list[Point]]:
    """Steps around equal bins over [-1, 1], from the first to the last that any series fills."""
    # edges as fractions in [0, 1] first, so that series with other numbers of bins share them
    filled = [i / len(heights) for heights in shares.values() for i, share in enumerate(heights) if share]
    widest = 1 / min(len(heights) for heights in shares.values())
    low, high = min(filled), max(filled) + widest

    lines = {}
    for name, heights in shares.items():
        edges = [i / len(heights) for i in range(len(heights) + 1)]
        kept = [i for i in range(len(heights)) if low - 1e-9 <= edges[i] < high - 1e-9]
        steps = [(2 * edges[i + side] - 1, heights[i]) for i in kept for side in (0, 1)]  # both ends of a bin's top
        lines[name] = [(steps[0][0], 0.0), *steps, (steps[-1][0], 0.0)]
    return lines


@dataclass(frozen=True)
class _Frame:
    """Axes of a panel: from values to pixels.

    Args:
        x_ticks: numbers on the axis; the first and the last are its ends.
        y_ticks: the same.
        scale: side of the picture, in panels.
    """

    x_ticks: list[float]
    y_ticks: list[float]
    scale: int

    @classmethod
    def around(cls, x: Sequence[float], y: Sequence[float], scale: int = 1) -> _Frame:
        return cls(ticks(min(x), max(x)), ticks(min(y), max(y)), scale)

    def pixel(self, point: Point) -> Point:
        """Where a point lies, in pixels from the upper left corner."""
        return self._across(point[0]), self._down(point[1])

    def _across(self, x: float) -> float:
        share = (x - self.x_ticks[0]) / (self.x_ticks[-1] - self.x_ticks[0])
        return LEFT + share * (self.scale * WIDTH - LEFT - RIGHT)

    def _down(self, y: float) -> float:
        share = (y - self.y_ticks[0]) / (self.y_ticks[-1] - self.y_ticks[0])
        return self.scale * HEIGHT - BOTTOM - share * (self.scale * HEIGHT - TOP - BOTTOM)

    def drawn(self, title: str, x_label: str) -> str:
        """Title, axes with their numbers, and level lines."""
        left, bottom = self.pixel((self.x_ticks[0], self.y_ticks[0]))
        right, top = self.pixel((self.x_ticks[-1], self.y_ticks[-1]))

        parts = [_text((left + right) / 2, 18, title, "middle", 13)]
        for x in self.x_ticks:
            parts.append(_text(self._across(x), bottom + 16, f"{x:g}", "middle"))
        for y in self.y_ticks:
            parts.append(_line([(left, self._down(y)), (right, self._down(y))], "#dddddd", 1))
            parts.append(_text(left - 6, self._down(y) + 4, f"{y:g}", "end"))

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


def _line(points: Sequence[Point], colour: str, width: float = 2) -> str:
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _dot(centre: Point, radius: float, fill: str, ring: str = "none") -> str:
    x, y = centre
    return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius}" fill="{fill}" stroke="{ring}" stroke-width="2"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 11) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _group(left: int, top: int, content: str) -> str:
    return f'<g transform="translate({left} {top})">{content}</g>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = "\n".join(parts)
    return f'{head} font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
