"""KNN: it reads the run's ID images, and how many of them it may ask for."""

import math
from typing import Literal

import pytest
import torch
from bare_evidence import evidence_of
from id_training_images import check_id_images_outscore_their_opposites, three_classes
from random_features import random_unit

from ood_lightning.detectors.evidence import IDFeatures, Inputs, TowerFeatures
from ood_lightning.detectors.knn import KNN
from ood_lightning.errors import SettingsError


@pytest.mark.parametrize("k", [1, 5])
def test_id_images_outscore_their_opposites(k: int):
    check_id_images_outscore_their_opposites(KNN(k=k))


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.02), (4, 0.5)])
def test_it_equals_a_loop_over_the_runs_images(k: int, temperature: float):
    evidence, images = three_classes(), random_unit(7, 6, seed=1)
    expected = []
    for image in images.double():
        cosines = sorted((float(image @ x) for x in evidence[IDFeatures].image.double()), reverse=True)[:k]
        expected.append(math.log(sum(math.exp(c / temperature) for c in cosines) / k))

    scores = KNN(k=k, temperature=temperature).bind(evidence)(images)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [1, 4, 90, -1])
def test_the_distance_is_that_to_the_kth_image_alone(k: int):
    evidence, images = three_classes(), random_unit(7, 6, seed=1)
    expected = []
    for image in images.double():
        lengths = sorted(float((image - x).norm()) for x in evidence[IDFeatures].image.double())
        expected.append(-lengths[k - 1 if k > 0 else -1])

    scores = KNN(k=k, score="distance").bind(evidence)(images)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


def test_an_image_of_the_set_is_at_distance_zero_and_outscores_others():
    evidence = three_classes()
    images = torch.cat([evidence[IDFeatures].image[:1], -evidence[IDFeatures].image[:1]])
    itself, opposite = KNN(score="distance").bind(evidence)(images)
    assert abs(float(itself)) < 1e-3
    assert opposite < itself


@pytest.mark.parametrize("temperature", [0.02, 0.5])
def test_minus_one_is_all_images(temperature: float):
    evidence, images = three_classes(), random_unit(7, 6, seed=1)
    scores = KNN(k=-1, temperature=temperature).bind(evidence)(images)
    products = images.double() @ evidence[IDFeatures].image.double().T
    expected = (products / temperature).exp().mean(dim=1).log()
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(KNN(k=90, temperature=temperature).bind(evidence)(images), scores, atol=0, rtol=0)


@pytest.mark.parametrize("score", ["soft", "distance"])
def test_the_towers_output_is_compared_at_length_one(score: Literal["soft", "distance"]):
    projected, images = three_classes(), random_unit(7, 6, seed=1)
    bank = projected[IDFeatures].image
    lengths = torch.linspace(0.1, 30, len(bank))[:, None]
    evidence = evidence_of({}, IDFeatures(bank.flip(0)), TowerFeatures(lengths * bank))

    detector = KNN(k=3, score=score, features="tower")
    assert detector.columns == ("tower",)
    expected = KNN(k=3, score=score).bind(projected)(images)
    torch.testing.assert_close(detector.bind(evidence)(7 * images.half().float()), expected, atol=5e-2, rtol=0)
    torch.testing.assert_close(detector.bind(evidence)(7 * images), expected, atol=1e-4, rtol=0)


def test_it_needs_id_images_and_no_labels():
    assert Inputs().lacking(KNN().required_inputs) == [IDFeatures]
    assert Inputs().lacking(KNN(features="tower").required_inputs) == [IDFeatures, TowerFeatures]
    assert KNN().supervision == {"id_images"}


@pytest.mark.parametrize("k", [0, -2])
def test_no_neighbours_are_refused(k: int):
    with pytest.raises(SettingsError, match=f"KNN: k is {k}, expected 1 or more, or -1 for all"):
        KNN(k=k)


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(SettingsError, match="4 neighbours, there are 3 ID images"):
        KNN(k=4).bind(evidence_of({}, IDFeatures(torch.eye(3))))
