"""Mahalanobis: what it reads under which option, and covariances without an inverse."""

import pytest
import torch
from bare_evidence import evidence_of
from fitted_gaussians import (
    check_a_label_set_takes_the_place_of_labels,
    check_tower_features_are_not_normalised,
    check_what_it_needs_depends_on_its_options,
)
from id_training_images import check_id_images_outscore_their_opposites, random_queries, three_classes
from torch.nn.functional import layer_norm

from ood_lightning.detectors.evidence import IDFeatures, IDLabels, TowerFeatures
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.errors import SettingsError
from ood_lightning.functional.density import fit_gaussians, mahalanobis


def test_it_is_the_score_under_gaussians_of_the_runs_images():
    evidence, queries = three_classes(), random_queries(9, 6, seed=5)
    fitted = fit_gaussians(evidence[IDFeatures].image, evidence[IDLabels].label, 0.1)
    assert torch.equal(Mahalanobis(ridge=0.1).bind(evidence)(queries), mahalanobis(queries, fitted))


def test_id_images_outscore_their_opposites():
    check_id_images_outscore_their_opposites(Mahalanobis())


def test_what_it_needs_depends_on_its_options():
    check_what_it_needs_depends_on_its_options(Mahalanobis)


def test_a_label_set_takes_the_place_of_labels():
    check_a_label_set_takes_the_place_of_labels(Mahalanobis)


def test_tower_features_are_not_normalised():
    check_tower_features_are_not_normalised(Mahalanobis)


def test_a_singular_covariance_is_a_users_error_that_names_the_cure():
    """Such as the covariance of a layer norm's outputs, which lie in a hyperplane."""
    draw = torch.Generator().manual_seed(4)
    tower = torch.randn(90, 12, generator=draw, dtype=torch.float64) + 3
    tower = layer_norm(tower, (12,), torch.rand(12, generator=draw, dtype=torch.float64) + 0.5)
    evidence = three_classes()
    with_tower = evidence_of({}, evidence[IDFeatures], evidence[IDLabels], TowerFeatures(tower))

    with pytest.raises(SettingsError, match=r"Mahalanobis on tower features: .*singular.*a ridge above 0"):
        Mahalanobis(features="tower").bind(with_tower)
    scores = [Mahalanobis(features="tower", ridge=ridge).bind(with_tower)(tower) for ridge in (1e-8, 1e-6)]
    torch.testing.assert_close(*scores, atol=1e-2, rtol=1e-2)  # any tiny one will do
