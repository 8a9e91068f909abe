"""The map keeps distances as far as two dimensions can; the band holds a distribution as often as it says."""

import math

import pytest
import torch
from random_features import random_unit

from ood_lightning.functional.plane import band_half_width, principal_plane


def test_points_of_a_plane_keep_their_distances():
    points = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    plane = principal_plane(torch.nn.functional.pad(points, (0, 4)) @ turn + 3.0)
    torch.testing.assert_close(torch.cdist(plane.points, plane.points), torch.cdist(points, points))
    assert plane.explained == pytest.approx(1.0)


def test_the_first_axis_is_the_one_of_largest_variance_and_signs_do_not_flip():
    features = random_unit(40, 12, seed=0)
    plane = principal_plane(features)
    covariance = torch.linalg.eigvalsh(torch.cov(features.double().T)).flip(0)
    torch.testing.assert_close(plane.points.var(dim=0), covariance[:2])
    assert plane.explained == pytest.approx(float(covariance[:2].sum() / covariance.sum()))

    rows = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(principal_plane(features[rows]).points, plane.points[rows])


@pytest.mark.parametrize("n", [1, 2])
def test_a_word_or_two_have_a_place_too(n: int):
    plane = principal_plane(random_unit(n, 5, seed=0))
    assert plane.points.shape == (n, 2)
    assert plane.points.isfinite().all()
    assert plane.explained == pytest.approx(1.0)


def test_the_band_holds_the_true_distribution_at_least_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(4000, 30, generator=generator, dtype=torch.float64).sort(dim=1).values
    above = (torch.arange(1, 31) / 30 - values).amax(dim=1)
    below = (values - torch.arange(30) / 30).amax(dim=1)
    held = (torch.maximum(above, below) <= band_half_width(30)).double().mean()
    assert 0.95 <= float(held) <= 0.98


@pytest.mark.parametrize(("n", "level"), [(0, 0.95), (10, 1.0), (10, 95.0), (10, math.nan)])
def test_a_band_of_nothing_or_of_percent_is_refused(n: int, level: float):
    with pytest.raises(ValueError, match=r"0\.95"):
        band_half_width(n, level)
