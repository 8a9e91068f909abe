"""Points as figure, CSV and table: the same numbers, and bytes that repeat."""

from xml.etree import ElementTree

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.curves import arrange, drawn, sheet, table_rows
from ood_lightning.experiments.measures import Point
from ood_lightning.metrics.results import Estimate


def points(values: dict[str, float], **settings: str) -> list[Point]:
    """A point for each C, with an interval a hundredth to both sides."""
    return [
        Point(f"c{c}", {"c": c, **settings}, Estimate(value, value - 0.01, value + 0.01)) for c, value in values.items()
    ]


MCM = points({"16": 0.8, "4": 0.7, "100": 0.9}, detector="MCM")
NEGLABEL = points({"16": 0.6, "4": 0.5}, detector="$Neg$_Label")


def texts_of(picture: str) -> set[str]:
    return {
        "".join(node.itertext()) for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    }


def test_lines_are_detectors_and_numbers_ascend():
    figure = arrange(MCM + NEGLABEL, "auroc", "c", "detector")
    assert figure.values == ["4", "16", "100"]
    assert list(figure.panels) == [""]
    assert table_rows(figure) == [
        (
            "",
            [
                ["4", "70.00 [69.00, 71.00]", "50.00 [49.00, 51.00]"],
                ["16", "80.00 [79.00, 81.00]", "60.00 [59.00, 61.00]"],
                ["100", "90.00 [89.00, 91.00]", "-"],
            ],
        )
    ]


def test_the_bytes_of_a_figure_repeat():
    figure = arrange(MCM + NEGLABEL, "auroc", "c", "detector")
    picture = drawn(figure)
    assert drawn(arrange(MCM + NEGLABEL, "auroc", "c", "detector")) == picture
    assert {" MCM", " $Neg$_Label", "c", "auroc (%)"} <= texts_of(picture)


def test_a_second_setting_tells_lines_apart_and_detectors_get_panels():
    both = [*points({"4": 0.5, "8": 0.6}, detector="A", k="1"), *points({"4": 0.7, "8": 0.8}, detector="A", k="2")]
    other = [Point(f"{p.line}b", {**p.settings, "detector": "B"}, p.estimate) for p in both]
    figure = arrange([*both, *other], "auroc", "c", "k")
    assert {title: list(lines) for title, lines in figure.panels.items()} == {"A": ["1", "2"], "B": ["1", "2"]}
    assert {"A", "B", " 1", " 2"} <= texts_of(drawn(figure))


def test_names_are_places_in_the_order_of_the_sweep():
    named = [
        Point(f"p{i}", {"prompts": name, "detector": "A"}, Estimate(0.5)) for i, name in enumerate(["nice", "bare"])
    ]
    figure = arrange(named, "auroc", "prompts", "detector")
    assert figure.values == ["nice", "bare"]
    assert {"nice", "bare"} <= texts_of(drawn(figure))


def test_counts_are_no_percents():
    figure = arrange([Point("a", {"c": "4"}, Estimate(1500.0))], "positives", "c", "detector")
    assert table_rows(figure) == [("", [["4", "1,500"]])]
    assert "positives" in texts_of(drawn(figure))


def test_the_sheet_has_fractions_and_no_formulas():
    (first, second, *_) = sheet([*MCM[:1], *points({"=1": 0.5}, detector="B")], "auroc").decode().splitlines()
    assert first == "line,c,detector,auroc,auroc_low,auroc_high"
    assert second == "c16,16,MCM,0.8,0.79,0.81"
    assert b",'=1,B,0.5," in sheet(points({"=1": 0.5}, detector="B"), "auroc")


def test_points_in_one_place_and_too_many_lines_are_refused():
    twice = [*points({"4": 0.5}), Point("again", {"c": "4"}, Estimate(0.6))]
    with pytest.raises(SettingsError, match="the lines c4 and again both have c 4: name what tells them apart"):
        arrange(twice, "auroc", "c", "detector")
    many = [point for i in range(9) for point in points({"4": 0.5}, detector=f"d{i}")]
    with pytest.raises(SettingsError, match="9 lines in one figure: at most 8"):
        arrange(many, "auroc", "c", "detector")
