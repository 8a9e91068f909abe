"""MaxLogit, Energy, Entropy and Variance against loops over raw cosines, and what must hold whatever the numbers."""

import math

import pytest
import torch
from torch import Tensor

from ood_lightning.detectors.energy import Energy
from ood_lightning.detectors.entropy import Entropy
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.maxlogit import MaxLogit
from ood_lightning.detectors.mcm import MCM
from ood_lightning.detectors.variance import Variance
from ood_lightning.functional.similarity import unit


@pytest.fixture
def images() -> Tensor:
    return unit(torch.randn(9, 6, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def labels() -> LabelFeatures:
    texts = unit(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)))
    return LabelFeatures(texts, texts[:0], 77.0)


def softmax(cosines: list[float], temperature: float) -> list[float]:
    exponentials = [math.exp(c / temperature) for c in cosines]
    return [e / sum(exponentials) for e in exponentials]


def rows(images: Tensor, labels: LabelFeatures) -> list[list[float]]:
    return [[float(image.double() @ text.double()) for text in labels.positives] for image in images]


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_each_is_its_formula_on_raw_cosines(images: Tensor, labels: LabelFeatures, temperature: float):
    cosines = rows(images, labels)
    shares = [softmax(row, temperature) for row in cosines]
    means = [sum(p) / len(p) for p in shares]
    expected = {
        MaxLogit(): [max(row) for row in cosines],
        Energy(temperature=temperature): [
            temperature * math.log(sum(math.exp(c / temperature) for c in r)) for r in cosines
        ],
        Entropy(temperature=temperature): [sum(p * math.log(p) for p in row) for row in shares],
        Variance(temperature=temperature): [
            sum((p - mean) ** 2 for p in row) / len(row) for row, mean in zip(shares, means, strict=True)
        ],
    }
    for detector, scores in expected.items():
        found = detector(images, labels)
        torch.testing.assert_close(found, torch.tensor(scores, dtype=torch.float64), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(detector(images, labels._replace(logit_scale=1.0)), found)  # cosines, not logits


def test_maxlogit_is_the_limit_of_energy(images: Tensor, labels: LabelFeatures):
    torch.testing.assert_close(Energy(temperature=1e-3)(images, labels), MaxLogit()(images, labels), atol=2e-3, rtol=0)


def test_one_name_leaves_nothing_to_choose(images: Tensor, labels: LabelFeatures):
    one = labels._replace(positives=labels.positives[:1])
    for detector in (Entropy(), Variance(), MCM()):
        assert detector(images, one).abs().max() < 1e-12  # log of probability 1, no entropy, no spread


def test_a_flat_softmax_says_least(labels: LabelFeatures):
    """An image as near to one name as to the other scores below one that is near a single name."""
    two = LabelFeatures(torch.eye(3)[:2], torch.eye(3)[:0], 77.0)
    sure, torn = unit(torch.tensor([[1.0, 0.0, 0.2], [0.7, 0.7, 0.2]])).split(1)
    for detector in (Entropy(), Variance(), MCM()):
        assert detector(sure, two) > detector(torn, two)
