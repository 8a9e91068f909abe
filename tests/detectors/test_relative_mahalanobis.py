"""RelativeMahalanobis: what it reads under which option."""

import torch
from fitted_gaussians import (
    check_a_label_set_takes_the_place_of_labels,
    check_tower_features_are_not_normalised,
    check_what_it_needs_depends_on_its_options,
)
from id_training_images import check_id_images_outscore_their_opposites, random_queries, three_classes

from ood_lightning.detectors.evidence import IDFeatures, IDLabels
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.functional.density import fit_gaussians, relative_mahalanobis


def test_it_is_the_score_under_gaussians_of_the_runs_images():
    evidence, queries = three_classes(), random_queries(9, 6, seed=5)
    fitted = fit_gaussians(evidence[IDFeatures].image, evidence[IDLabels].label, 0.1)
    assert torch.equal(RelativeMahalanobis(ridge=0.1).bind(evidence)(queries), relative_mahalanobis(queries, fitted))


def test_id_images_outscore_their_opposites():
    check_id_images_outscore_their_opposites(RelativeMahalanobis())


def test_what_it_needs_depends_on_its_options():
    check_what_it_needs_depends_on_its_options(RelativeMahalanobis)


def test_a_label_set_takes_the_place_of_labels():
    check_a_label_set_takes_the_place_of_labels(RelativeMahalanobis)


def test_tower_features_are_not_normalised():
    check_tower_features_are_not_normalised(RelativeMahalanobis)
