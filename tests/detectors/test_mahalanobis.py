"""Mahalanobis, relative Mahalanobis and KNN: what they bind, and what they are given."""

import pytest
import torch
from bare_evidence import evidence_of
from torch import Tensor
from torch.nn.functional import layer_norm, normalize

from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.evidence import Evidence, IDFeatures, IDLabels, Inputs, LabelFeatures, TowerFeatures
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.errors import SettingsError


@pytest.fixture
def evidence() -> Evidence:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    centres = 3 * torch.eye(6)[:3]
    features = normalize(centres[labels] + torch.randn(90, 6, generator=draw), dim=1)
    return evidence_of({}, IDFeatures(features), IDLabels(labels))


def _mean_pictures(evidence: Evidence) -> Tensor:
    features, labels = evidence[IDFeatures].image, evidence[IDLabels].label
    inside = torch.stack([features[labels == c].mean(0) for c in range(3)])
    return normalize(torch.cat([inside, -inside]), dim=1)


@pytest.mark.parametrize("detector", [Mahalanobis(), RelativeMahalanobis(), KNN(), KNN(k=5)], ids=lambda d: repr(d))
def test_pictures_like_the_id_images_outscore_their_opposites(detector: Detector, evidence: Evidence):
    scores = detector.bind(evidence)(_mean_pictures(evidence))
    assert scores[:3].min() > scores[3:].max()


def test_what_is_missing_is_named():
    nothing, images = Inputs(), Inputs.of(IDFeatures(torch.eye(3)))
    assert nothing.lacking(Mahalanobis().required_inputs) == [IDFeatures, IDLabels]
    assert images.lacking(Mahalanobis().required_inputs) == [IDLabels]
    assert images.lacking(KNN().required_inputs) == []
    assert images.lacking(Mahalanobis(labels="mined", features="tower").required_inputs) == [TowerFeatures]


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(SettingsError, match="4 neighbours, there are 3 ID images"):
        KNN(k=4).bind(evidence_of({}, IDFeatures(torch.eye(3))))


KINDS = pytest.mark.parametrize("kind", [Mahalanobis, RelativeMahalanobis])


@KINDS
def test_what_an_option_needs_is_said_by_the_instance(kind: type[Mahalanobis]):
    assert kind().supervision == {"id_images", "id_labels"}
    assert kind(labels="mined").supervision == {"id_images"}
    assert kind(labels="mined").required_inputs == {IDFeatures}
    assert kind().columns == ("image",)
    assert kind(features="tower").columns == ("tower",)


@KINDS
def test_a_label_set_stands_in_for_labels(kind: type[Mahalanobis], evidence: Evidence):
    """The nearest positive of each training picture is its class; own labels are not looked at."""
    positives = torch.eye(6)[[2, 0, 1, 5]]
    features, labels = evidence[IDFeatures], evidence[IDLabels].label
    labelled = evidence_of({}, features, IDLabels((features.image @ positives.T).argmax(dim=1)))
    named = {"mined": LabelFeatures(positives, positives[:0], 10.0)}
    queries = normalize(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    expected = kind().bind(labelled)(queries)
    for further in ([IDLabels(labels)], [], [IDLabels(labels.flip(0))]):
        found = kind(labels="mined").bind(evidence_of(named, features, *further))(queries)
        torch.testing.assert_close(found, expected, atol=0, rtol=0)
    assert (kind().bind(evidence)(queries) - expected).abs().max() > 0


@KINDS
def test_the_tower_is_read_as_it_is(kind: type[Mahalanobis], evidence: Evidence):
    features, labels = evidence[IDFeatures], evidence[IDLabels]
    tower = 7 + 3 * features.image @ torch.randn(6, 6, generator=torch.Generator().manual_seed(2))
    queries = 5 * torch.randn(20, 6, generator=torch.Generator().manual_seed(3))
    found = kind(features="tower").bind(evidence_of({}, features, labels, TowerFeatures(tower)))(queries)
    expected = kind().bind(evidence_of({}, IDFeatures(tower), labels))(queries)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_a_singular_covariance_is_a_users_error_that_names_the_cure(evidence: Evidence):
    """Such as that of a layer norm's outputs, which lie in a hyperplane."""
    draw = torch.Generator().manual_seed(4)
    tower = torch.randn(90, 12, generator=draw, dtype=torch.float64) + 3
    tower = layer_norm(tower, (12,), torch.rand(12, generator=draw, dtype=torch.float64) + 0.5)
    with_tower = evidence_of({}, evidence[IDFeatures], evidence[IDLabels], TowerFeatures(tower))
    with pytest.raises(SettingsError, match=r"Mahalanobis on tower features: .*singular.*a ridge above 0"):
        Mahalanobis(features="tower").bind(with_tower)
    scores = [Mahalanobis(features="tower", ridge=ridge).bind(with_tower)(tower) for ridge in (1e-8, 1e-6)]
    torch.testing.assert_close(*scores, atol=1e-2, rtol=1e-2)  # any tiny one will do
