"""Mahalanobis, relative Mahalanobis and KNN: what they bind, and what they are given."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.detectors.base import Detector, Evidence
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.errors import SettingsError


@pytest.fixture
def evidence() -> Evidence:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    centres = 3 * torch.eye(6)[:3]
    return Evidence({}, normalize(centres[labels] + torch.randn(90, 6, generator=draw), dim=1), labels)


def _mean_pictures(evidence: Evidence) -> Tensor:
    assert evidence.id_features is not None
    inside = torch.stack([evidence.id_features[evidence.id_labels == c].mean(0) for c in range(3)])
    return normalize(torch.cat([inside, -inside]), dim=1)


@pytest.mark.parametrize("detector", [Mahalanobis(), RelativeMahalanobis(), KNN(), KNN(k=5)], ids=lambda d: repr(d))
def test_pictures_like_the_id_images_outscore_their_opposites(detector: Detector, evidence: Evidence):
    scores = detector.bind(evidence)(_mean_pictures(evidence))
    assert scores[:3].min() > scores[3:].max()


def test_what_is_missing_is_named():
    assert Evidence({}).lacks(Mahalanobis.inputs) == ["id_features", "id_labels"]
    assert Evidence({}, torch.eye(3)).lacks(Mahalanobis.inputs) == ["id_labels"]
    assert Evidence({}, torch.eye(3)).lacks(KNN.inputs) == []


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(SettingsError, match="4 neighbours, there are 3 ID images"):
        KNN(k=4).bind(Evidence({}, torch.eye(3)))
