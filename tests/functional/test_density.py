"""Mahalanobis scores against explicit inverses, and their invariants."""

import pytest
import torch
from random_features import random_unit
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.functional import moments
from ood_lightning.functional.density import (
    Gaussians,
    fit_gaussians,
    mahalanobis,
    nearest_neighbours,
    relative_mahalanobis,
)


@pytest.fixture
def images() -> tuple[Tensor, Tensor, Tensor]:
    """Features of three classes, their labels, and queries."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = torch.randn(60, 4, generator=draw, dtype=torch.float64) + 2.0 * labels[:, None]
    return features, labels, 3 * torch.randn(9, 4, generator=draw, dtype=torch.float64)


def _oracle(features: Tensor, labels: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    groups = [features[labels == c] for c in range(3)]
    shared = torch.linalg.inv(sum(torch.cov(group.T) for group in groups) / 3)
    total = torch.linalg.inv(torch.cov(features.T))

    plain, relative = [], []
    for x in queries:
        distances = [(x - g.mean(0)) @ shared @ (x - g.mean(0)) for g in groups]
        background = (x - features.mean(0)) @ total @ (x - features.mean(0))
        plain.append(-min(distances))
        relative.append(-min(d - background for d in distances))
    return torch.stack(plain), torch.stack(relative)


def test_equals_explicit_inverses(images):
    features, labels, queries = images
    fitted = fit_gaussians(features, labels)
    plain, relative = _oracle(features, labels, queries)
    torch.testing.assert_close(mahalanobis(queries, fitted), plain)
    torch.testing.assert_close(relative_mahalanobis(queries, fitted), relative)


def _by_differences(fitted: Gaussians, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Both scores, one image and one class at a time, with nothing but differences."""
    plain, relative = [], []
    for x in queries.double():
        nearest = min(((x - mean) @ fitted.whitener).square().sum() for mean in fitted.means)
        plain.append(-nearest)
        relative.append(((x - fitted.mean) @ fitted.global_whitener).square().sum() - nearest)
    return torch.stack(plain), torch.stack(relative)


@pytest.mark.parametrize("far", [0.0, 1e4], ids=["centred", "far from zero"])
@pytest.mark.parametrize("flat", [1.0, 1e-5], ids=["round", "nearly flat"])
def test_one_product_finds_what_differences_say(images, far: float, flat: float):
    features, labels, queries = images
    fitted = fit_gaussians(features * torch.tensor([1.0, 1.0, flat, 1.0]) + far, labels)
    queries = torch.cat([queries * torch.tensor([1.0, 1.0, flat, 1.0]) + far, fitted.means])
    for queried in (queries, queries.float()):
        plain, relative = _by_differences(fitted, queried)
        torch.testing.assert_close(mahalanobis(queried, fitted), plain, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(relative_mahalanobis(queried, fitted), relative, rtol=1e-9, atol=1e-9)


def test_an_image_on_a_mean_has_distance_zero_also_where_two_means_are_one(images):
    features, labels, _ = images
    fitted = fit_gaussians(torch.cat([features, features[labels == 2]]), torch.cat([labels, torch.full((20,), 3)]))
    assert (mahalanobis(fitted.means, fitted) > -1e-25).all()


def test_no_image_has_no_score(images):
    fitted = fit_gaussians(*images[:2])
    for score in (mahalanobis, relative_mahalanobis):
        assert score(images[2][:0], fitted).shape == (0,)


def test_ignores_an_invertible_affine_map_of_the_features(images):
    features, labels, queries = images
    matrix = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = fit_gaussians(features @ matrix + 7, labels)
    fitted = fit_gaussians(features, labels)
    for score in (mahalanobis, relative_mahalanobis):
        torch.testing.assert_close(score(queries @ matrix + 7, moved), score(queries, fitted))


def test_one_class_has_relative_score_zero(images):
    features, _, queries = images
    fitted = fit_gaussians(features, torch.zeros(60, dtype=torch.int64))
    assert relative_mahalanobis(queries, fitted).abs().max() < 1e-9


def test_single_images_of_a_class_and_unlabelled_ones_are_left_out(images):
    features, labels, queries = images
    more = torch.cat([features, queries[:2]])
    labels_of_more = torch.cat([labels, torch.tensor([7, -1])])
    fitted = fit_gaussians(more, labels_of_more)
    assert len(fitted.means) == 3
    torch.testing.assert_close(fitted.mean, more[:-1].mean(0))


def test_a_singular_covariance_is_refused_and_a_ridge_cures_it(images):
    features, labels, queries = images
    flat = torch.cat([features, features[:, :1]], dim=1)
    with pytest.raises(ValueError, match="singular"):
        fit_gaussians(flat, labels)
    fitted = fit_gaussians(flat, labels, ridge=1e-3)
    assert mahalanobis(torch.cat([queries, queries[:, :1]], dim=1), fitted).isfinite().all()


def test_classes_of_single_images_only_are_refused():
    with pytest.raises(ValueError, match="no class has two"):
        fit_gaussians(torch.randn(3, 2), torch.tensor([0, 1, -1]))


def test_nearest_neighbours_equal_a_loop_and_an_image_of_the_bank_scores_one_over_temperature():
    bank = random_unit(20, 5, seed=2)
    queries = normalize(bank[:3] + 0.1 * bank[5:8], dim=1)

    for k in (1, 4, 20):
        cosines = (queries.double() @ bank.double().T).sort(dim=1, descending=True).values[:, :k]
        expected = (cosines / 0.1).exp().mean(dim=1).log()
        torch.testing.assert_close(nearest_neighbours(queries, bank, k, 0.1), expected)

    of_bank = nearest_neighbours(bank, bank, 1, 0.02)
    torch.testing.assert_close(of_bank, torch.full_like(of_bank, 50.0), rtol=1e-6, atol=0)
    with pytest.raises(ValueError, match="temperature is 0"):
        nearest_neighbours(queries, bank, 1, 0)


@pytest.mark.parametrize("block", [1, 50, 2**20])
def test_gaussians_of_classes_of_any_size_are_those_of_a_loop_over_classes(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(moments, "_BLOCK", block)
    draw = torch.Generator().manual_seed(3)
    labels = torch.randint(40, (300,), generator=draw).square() - 1  # uneven, with gaps, and some of no class
    features = torch.randn(300, 6, generator=draw, dtype=torch.float64) + labels[:, None] / 100

    groups = [features[labels == c] for c in labels.unique() if c >= 0]
    several = [group for group in groups if len(group) > 1]
    assert len(several) < len(groups)
    shared = torch.stack([torch.cov(group.T) for group in several]).mean(0)
    together = torch.cat(groups)

    got = fit_gaussians(features, labels)
    torch.testing.assert_close(got.means, torch.stack([group.mean(0) for group in several]), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(got.mean, together.mean(0), rtol=1e-12, atol=1e-14)
    for whitener, covariance in ((got.whitener, shared), (got.global_whitener, torch.cov(together.T))):
        torch.testing.assert_close(whitener @ whitener.T, torch.linalg.inv(covariance), rtol=1e-11, atol=1e-12)
