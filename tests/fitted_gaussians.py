"""What must hold of both Mahalanobis detectors: which inputs they read, and under which options."""

import torch
from bare_evidence import evidence_of
from id_training_images import LABELS, random_queries, three_classes
from torch.nn.functional import normalize

from ood_lightning.detectors.evidence import IDFeatures, IDLabels, Inputs, LabelFeatures, TowerFeatures
from ood_lightning.detectors.mahalanobis import Mahalanobis


def check_what_it_needs_depends_on_its_options(kind: type[Mahalanobis]) -> None:
    assert kind().supervision == {"id_images", "id_labels"}
    assert kind(labels="mined").supervision == {"id_images"}
    assert kind(labels="mined").required_inputs == {IDFeatures}
    assert kind().columns == ("image",)
    assert kind(features="tower").columns == ("tower",)

    images = Inputs.of(IDFeatures(torch.eye(3)))
    assert Inputs().lacking(kind().required_inputs) == [IDFeatures, IDLabels]
    assert images.lacking(kind().required_inputs) == [IDLabels]
    assert images.lacking(kind(labels="mined", features="tower").required_inputs) == [TowerFeatures]


def check_a_label_set_takes_the_place_of_labels(kind: type[Mahalanobis]) -> None:
    """The nearest positive of each training image is its class; true labels are not read."""
    positives = torch.eye(6)[[2, 0, 1, 5]]
    features = three_classes()[IDFeatures]
    queries = normalize(random_queries(20, 6, seed=1), dim=1)
    nearest = IDLabels((features.image @ positives.T).argmax(dim=1))
    expected = kind().bind(evidence_of({}, features, nearest))(queries)

    mined = {"mined": LabelFeatures(positives, positives[:0], 10.0)}
    for true_labels in ([IDLabels(LABELS)], [], [IDLabels(LABELS.flip(0))]):
        scores = kind(labels="mined").bind(evidence_of(mined, features, *true_labels))(queries)
        torch.testing.assert_close(scores, expected, atol=0, rtol=0)
    assert (kind().bind(three_classes())(queries) - expected).abs().max() > 0


def check_tower_features_are_not_normalised(kind: type[Mahalanobis]) -> None:
    evidence = three_classes()
    tower = 7 + 3 * evidence[IDFeatures].image @ random_queries(6, 6, seed=2)
    queries = 5 * random_queries(20, 6, seed=3)

    with_tower = evidence_of({}, evidence[IDFeatures], evidence[IDLabels], TowerFeatures(tower))
    scores = kind(features="tower").bind(with_tower)(queries)
    expected = kind().bind(evidence_of({}, IDFeatures(tower), evidence[IDLabels]))(queries)
    torch.testing.assert_close(scores, expected, atol=0, rtol=0)
