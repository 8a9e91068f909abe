"""Points of a sweep as curves: a figure, a CSV and a table of the same numbers. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.measures import DETECTOR, POSITIVES, Point
from ood_lightning.metrics.results import Estimate
from ood_lightning.report.plots import COLOURS, Curves, svg

COUNTS = (POSITIVES, "label_ratio", "redundancy", "purity", "entropy", "asked", "in_use")  # are no shares of images


@dataclass(frozen=True)
class Figure:
    """Points sorted into panels and lines.

    Args:
        measure: what the points are values of.
        x: the setting below.
        panels: by title: by name of the line, estimates by the setting's value.
        values: of the setting, in the order of the axis.
    """

    measure: str
    x: str
    panels: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    values: Sequence[str]

    @property
    def is_share(self) -> bool:
        """Whether the measure is printed in percent."""
        return self.measure not in COUNTS


def arrange(points: Sequence[Point], measure: str, x: str, lines: str) -> Figure:
    """Sort points: what is neither `x` nor `lines` and differs gets a panel for each of its values.

    Args:
        points: at least one.
        measure: of which they are values.
        x: the setting on the axis.
        lines: the setting, or `detector`, that tells lines apart.

    Raises:
        SettingsError: two points have one place, or there are more lines than colours.
    """
    keys = list(dict.fromkeys(key for point in points for key in point.settings))
    others = [key for key in keys if key not in (x, lines) and len({point.settings.get(key) for point in points}) > 1]

    panels: dict[str, dict[str, dict[str, Estimate]]] = {}
    first: dict[tuple[str, str, str], str] = {}
    for point in points:
        title = ", ".join(
            point.settings.get(key, "-") if key == DETECTOR else f"{key} {point.settings.get(key, '-')}"
            for key in others
        )
        name, value = point.settings.get(lines, ""), point.settings[x]
        earlier = first.setdefault((title, name, value), point.line)
        if earlier != point.line:
            of_line = f" and {lines} {name}" if name else ""
            raise SettingsError(
                f"the lines {earlier} and {point.line} both have {x} {value}{of_line}: name what tells them apart with "
                f"--lines"
            )
        panels.setdefault(title, {}).setdefault(name, {})[value] = point.estimate

    if (n_lines := max(map(len, panels.values()))) > len(COLOURS):
        raise SettingsError(
            f"{n_lines} lines in one figure: at most {len(COLOURS)}; another --lines, or a smaller sweep"
        )
    return Figure(measure, x, panels, _ordered(dict.fromkeys(point.settings[x] for point in points)))


def _ordered(values: Mapping[str, None]) -> list[str]:
    """Numbers ascending, other values in the order of the sweep."""
    return sorted(values, key=float) if all(map(_is_number, values)) else list(values)


def _is_number(text: str) -> bool:
    try:
        return float("-inf") < float(text) < float("inf")
    except ValueError:
        return False


def drawn(figure: Figure) -> str:
    """A panel for each of the figure's, as SVG; the same numbers give the same bytes."""
    factor, unit = (100, " (%)") if figure.is_share else (1, "")
    numbers = all(map(_is_number, figure.values))
    places = {value: float(value) if numbers else float(i) for i, value in enumerate(figure.values)}

    panels = []
    for title, lines in figure.panels.items():
        series = {
            name: [
                (places[value], factor * estimate.value, _scaled(estimate, factor))
                for value in figure.values
                if (estimate := points.get(value))
            ]
            for name, points in lines.items()
        }
        ticks = () if numbers else tuple(figure.values)
        panels.append(Curves(title, figure.x, f"{figure.measure}{unit}", series, ticks))

    columns = 2 if len(panels) % 2 == 0 else 1
    return svg([partial(panel.draw) for panel in panels], columns=columns, width=5.5)


def _scaled(estimate: Estimate, factor: float) -> tuple[float, float] | None:
    interval = estimate.interval
    return None if interval is None else (factor * interval[0], factor * interval[1])


def sheet(points: Sequence[Point], measure: str) -> bytes:
    """The points as CSV: the sweep's line, its settings, the value and the ends of its interval, as fractions."""
    keys = list(dict.fromkeys(key for point in points for key in point.settings))
    rows = [
        [
            point.line,
            *(point.settings.get(key, "") for key in keys),
            point.estimate.value,
            point.estimate.low,
            point.estimate.high,
        ]
        for point in points
    ]
    return csv_bytes([["line", *keys, measure, f"{measure}_low", f"{measure}_high"], *rows], "\n")


def table_rows(figure: Figure) -> list[tuple[str, list[list[str]]]]:
    """For each panel its title and rows: a value of the setting, then each line's measure with its interval."""
    tables = []
    for title, lines in figure.panels.items():
        rows = [
            [value, *(_cell(points.get(value), figure.is_share) for points in lines.values())]
            for value in figure.values
        ]
        tables.append((title, rows))
    return tables


def _cell(estimate: Estimate | None, is_share: bool) -> str:
    if estimate is None:
        return "-"
    if not is_share:
        return f"{estimate.value:,.4g}"
    interval = estimate.interval
    ends = "" if interval is None else f" [{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]"
    return f"{100 * estimate.value:.2f}{ends}"
