"""The elbow of a curve against distances to its chord."""

import math

import pytest

from ood_lightning.functional.elbow import elbow


def slow_elbow(x: list[float], y: list[float]) -> int:
    points = [((a - x[0]) / (x[-1] - x[0]), (b - min(y)) / (max(y) - min(y))) for a, b in zip(x, y, strict=True)]
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = math.hypot(x1 - x0, y1 - y0)
    distance = [abs((x1 - x0) * (y0 - b) - (x0 - a) * (y1 - y0)) / length for a, b in points]
    return max(range(len(distance)), key=lambda i: (round(distance[i], 12), -i))


@pytest.mark.parametrize(
    "y", [[0.9, 0.7, 0.5, 0.45, 0.42, 0.4], [1, 0.99, 0.9, 0.5, 0.2, 0.1], [0.3, 0.9, 0.5, 0.7, 0.2, 0.3]]
)
def test_the_elbow_is_the_point_farthest_from_the_chord(y: list[float]):
    x = [500, 1000, 2000, 3000, 4000, 8000]
    bend = elbow(x, y)
    assert bend.at == slow_elbow([float(v) for v in x], y)
    assert bend.distances[0] == bend.distances[-1] == 0

    scaled = elbow([v * 3 for v in x], [10 * v + 4 for v in y])
    assert scaled.at == bend.at
    assert scaled.distances == pytest.approx(bend.distances)


def test_of_equally_far_points_it_is_the_earliest():
    bend = elbow([0, 1, 2, 3, 4], [1.0, 0.25, 0.5, 0.75, 0.0])  # half the height below the chord, then above it
    assert bend.distances[1] == -bend.distances[3] > 0
    assert bend.at == 1


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
