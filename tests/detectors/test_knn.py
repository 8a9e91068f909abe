"""KNN: it reads the run's ID images, and how many of them it may ask for."""

import math

import pytest
import torch
from bare_evidence import evidence_of
from id_training_images import check_id_images_outscore_their_opposites, three_classes
from random_features import random_unit

from ood_lightning.detectors.evidence import IDFeatures, Inputs
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


def test_it_needs_id_images_and_no_labels():
    assert Inputs().lacking(KNN().required_inputs) == [IDFeatures]
    assert KNN().supervision == {"id_images"}


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(SettingsError, match="4 neighbours, there are 3 ID images"):
        KNN(k=4).bind(evidence_of({}, IDFeatures(torch.eye(3))))
