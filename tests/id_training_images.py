"""Labelled ID training images in three classes, for detectors that are fitted to them."""

import torch
from bare_evidence import evidence_of
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.evidence import Evidence, IDFeatures, IDLabels

LABELS = torch.arange(90) % 3


def three_classes() -> Evidence:
    """90 unit vectors in 6 dimensions around three axes, with their classes."""
    noise = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
    features = normalize(3 * torch.eye(6)[LABELS] + noise, dim=1)
    return evidence_of({}, IDFeatures(features), IDLabels(LABELS))


def check_id_images_outscore_their_opposites(detector: Detector) -> None:
    """The class means score higher than the vectors that point the other way."""
    evidence = three_classes()
    features = evidence[IDFeatures].image
    means = normalize(torch.stack([features[c == LABELS].mean(dim=0) for c in range(3)]), dim=1)

    scores = detector.bind(evidence)(torch.cat([means, -means]))
    assert scores[:3].min() > scores[3:].max()


def random_queries(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
