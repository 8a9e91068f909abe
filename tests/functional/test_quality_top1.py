"""Zero-shot top-1 against a loop over pictures."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.quality import top1
from ood_lightning.functional.similarity import unit


def slow_top1(features: Tensor, texts: Tensor, labels: Tensor) -> float:
    right = counted = 0
    for image, label in zip(features.double().tolist(), labels.tolist(), strict=True):
        if label < 0:
            continue
        products = [sum(a * b for a, b in zip(image, text, strict=True)) for text in texts.double().tolist()]
        counted += 1
        right += products.index(max(products)) == label
    return right / counted


@pytest.fixture
def made() -> tuple[Tensor, Tensor, Tensor]:
    """60 pictures near the texts of 9 classes, a sixth of them without a label."""
    draw = torch.Generator().manual_seed(3)
    texts = unit(torch.randn(9, 12, generator=draw))
    labels = torch.randint(0, 9, (60,), generator=draw)
    features = unit(texts[labels] + 0.6 * torch.randn(60, 12, generator=draw))
    return features, texts, labels.masked_fill(torch.rand(60, generator=draw) < 1 / 6, -1)


def test_is_that_of_a_loop(made: tuple[Tensor, Tensor, Tensor]):
    features, texts, labels = made
    expected = slow_top1(features, texts, labels)
    assert 0.3 < expected < 0.95, "the test would show little"
    assert top1(features, texts, labels) == expected
    assert {top1(features, texts, labels, row_block=n) for n in (1, 7, 60)} == {expected}
    assert top1(3 * features, texts, labels) == expected
    assert top1(features.half(), texts, labels) == slow_top1(features.half(), texts, labels)


def test_classes_in_another_order_fall_to_chance(made: tuple[Tensor, Tensor, Tensor]):
    features, texts, labels = made
    order = torch.arange(9).roll(1)
    assert top1(features, texts[order], labels) < 0.3
    moved = torch.where(labels < 0, labels, (labels + 1) % 9)
    assert top1(features, texts[order], moved) == top1(features, texts, labels)


def test_a_name_that_repeats_and_a_class_without_text_are_never_right():
    texts, labels = torch.eye(3)[[0, 0, 1]], torch.tensor([0, 1, 2, 3])
    assert top1(torch.eye(3)[[0, 0, 1, 2]], texts, labels) == 2 / 4
    assert top1(torch.eye(3)[[0, 0, 1]], texts, torch.tensor([0, -1, 2])) == 1.0


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="none of 2 images has a label"):
        top1(torch.eye(2), torch.eye(2), torch.tensor([-1, -1]))
    with pytest.raises(ValueError, match="same encoder"):
        top1(torch.eye(2), torch.eye(3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="is zero"):
        top1(torch.zeros(2, 2), torch.eye(2), torch.tensor([0, 1]))
