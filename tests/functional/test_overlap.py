"""Mined words against true names, and the elbow of a curve."""

import pytest

from ood_lightning.functional.elbow import elbow
from ood_lightning.functional.overlap import overlap


def test_overlap_precision_and_f1_are_of_sets_without_case():
    found = overlap(["Cat", "dog", "DOG ", "oak"], ["cat", "horse", "Cat", "Dog", "cow"])
    assert (found.mined, found.names, found.hits) == (3, 4, 2)
    assert found.overlap == 2 / 4
    assert found.precision == 2 / 3
    assert found.f1 == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))


def test_nothing_in_common_is_zero_and_equal_sets_are_one():
    assert overlap(["a"], ["b"])[2] == overlap(["a"], ["b"]).f1 == 0
    same = overlap(["a", "b"], ["B", "A"])
    assert same.overlap == same.precision == same.f1 == 1


def test_the_papers_table_is_consistent_with_sets_of_the_stated_size():
    # overlap 76.0 % of 998 names, precision 49.6 %: F1 60.0 %, about 1,530 words
    names = [f"n{i}" for i in range(998)]
    found = overlap([*names[:758], *(f"w{i}" for i in range(1530 - 758))], names)
    assert [round(100 * v, 1) for v in (found.overlap, found.precision, found.f1)] == [76.0, 49.5, 60.0]


def test_an_empty_side_is_refused():
    with pytest.raises(ValueError, match="0 mined words and 1 names"):
        overlap([], ["a"])


def slow_elbow(x: list[float], y: list[float]) -> int:
    points = [((a - x[0]) / (x[-1] - x[0]), (b - min(y)) / (max(y) - min(y))) for a, b in zip(x, y, strict=True)]
    (x0, y0), (x1, y1) = points[0], points[-1]
    far = [
        abs((x1 - x0) * (y0 - b) - (x0 - a) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 for a, b in points
    ]
    return max(range(len(far)), key=lambda i: (round(far[i], 12), -i))


@pytest.mark.parametrize(
    "y", [[0.9, 0.7, 0.5, 0.45, 0.42, 0.4], [1, 0.99, 0.9, 0.5, 0.2, 0.1], [0.3, 0.9, 0.5, 0.7, 0.2, 0.3]]
)
def test_the_elbow_is_the_point_farthest_from_the_chord(y: list[float]):
    x = [500, 1000, 2000, 3000, 4000, 8000]
    found = elbow(x, y)
    assert found.at == slow_elbow([float(v) for v in x], y)
    assert found.distances[0] == found.distances[-1] == 0
    scaled = elbow([v * 3 for v in x], [10 * v + 4 for v in y])
    assert scaled.at == found.at
    assert scaled.distances == pytest.approx(found.distances)


def test_a_saturating_curve_lies_below_its_chord():
    x = [100, 200, 400, 800, 1600]
    assert min(elbow(x, [1 / v for v in x]).distances) == 0
    assert max(elbow(x, [-((v / 1600) ** 2) for v in x]).distances) == 0  # bends the other way


def test_what_has_no_elbow_is_refused_in_words():
    with pytest.raises(ValueError, match="at least 5 points"):
        elbow([1, 2, 3, 4], [4, 3, 2, 1])
    with pytest.raises(ValueError, match="everywhere"):
        elbow([1, 2, 3, 4, 5], [1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="on one line"):
        elbow([1, 2, 3, 4, 6], [0.1, 0.2, 0.3, 0.4, 0.6])
    with pytest.raises(ValueError, match="ascend strictly"):
        elbow([1, 2, 2, 4, 5], [5, 4, 3, 2, 1])
    with pytest.raises(ValueError, match="finite"):
        elbow([1, 2, 3, 4, 5], [5, 4, float("nan"), 2, 1])
