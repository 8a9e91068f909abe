"""SynOOD's adapter, labelling, losses and score against float64 loops, and where they are NegLabel's."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.functional.grouping import grouped_log_odds
from ood_lightning.functional.synood import (
    Adapter,
    adapted,
    adapted_log_odds,
    image_side_loss,
    nearest_used,
    text_side_loss,
)

DIM = 6


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def adapter() -> Adapter:
    return Adapter(draw(DIM, DIM, seed=0), draw(DIM, seed=1), draw(DIM, seed=2), draw(DIM, seed=3))


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def by_hand(f: list[float], adapter: Adapter) -> list[float]:
    """The residual adapter, one image, no tensors."""
    weight, bias, gain, shift = (part.tolist() for part in adapter)
    hidden = [dot(row, f) + b for row, b in zip(weight, bias, strict=True)]
    mean = sum(hidden) / DIM
    spread = math.sqrt(sum((h - mean) ** 2 for h in hidden) / DIM + 1e-5)
    return [x + max(0.0, (h - mean) / spread * g + s) for x, h, g, s in zip(f, hidden, gain, shift, strict=True)]


def cross_entropy(features: list[list[float]], texts: list[list[float]], classes: list[int], scale: float) -> float:
    """Mean over images, both sides made unit vectors."""
    losses = []
    for f, expected in zip(features, classes, strict=True):
        logits = [scale * dot(f, t) / math.sqrt(dot(f, f) * dot(t, t)) for t in texts]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[expected])
    return sum(losses) / len(losses)


def test_the_adapter_equals_a_loop(adapter: Adapter):
    features = draw(5, DIM, seed=4)
    expected = torch.tensor([by_hand(f, adapter) for f in features.tolist()], dtype=torch.float64)
    torch.testing.assert_close(adapted(features, adapter), expected)
    assert not torch.equal(expected, features)


def test_both_losses_equal_loops(adapter: Adapter):
    features, texts = normalize(draw(5, DIM, seed=4), dim=1), normalize(draw(7, DIM, seed=5), dim=1)
    classes = [0, 6, 3, 3, 2]
    moved = [by_hand(f, adapter) for f in features.tolist()]
    loss = image_side_loss(features, torch.tensor(classes), texts, adapter, 14.3)
    assert float(loss) == pytest.approx(cross_entropy(moved, texts.tolist(), classes, 14.3), rel=1e-12)

    tuned = 9.0 * draw(7, DIM, seed=6)  # of any length
    loss = text_side_loss(features, torch.tensor(classes), tuned, 14.3)
    assert float(loss) == pytest.approx(cross_entropy(features.tolist(), tuned.tolist(), classes, 14.3), rel=1e-12)


@pytest.mark.parametrize("groups", [1, 4])
def test_the_score_equals_a_loop(adapter: Adapter, groups: int):
    features, positives = normalize(draw(5, DIM, seed=4), dim=1), normalize(draw(3, DIM, seed=5), dim=1)
    negatives = draw(9, DIM, seed=6)  # tuned: no unit vectors
    scale = 14.3
    size = 9 // groups

    expected = []
    for f in features.tolist():
        moved = by_hand(f, adapter)
        length = math.sqrt(dot(moved, moved))
        inside = sum(math.exp(scale * dot(moved, t) / length) for t in positives.tolist())
        far = [math.exp(scale * dot(moved, t) / length / math.sqrt(dot(t, t))) for t in negatives.tolist()]
        shares = [inside / (inside + sum(far[g * size : (g + 1) * size])) for g in range(groups)]
        expected.append(math.log(sum(shares) / groups) - math.log(1 - sum(shares) / groups))

    scores = adapted_log_odds(features, positives, negatives, adapter, scale, groups, None)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64))


def test_without_adapter_weights_and_tuning_the_score_is_neglabels():
    features, positives = torch.eye(DIM)[:4], torch.eye(DIM)[[0, 5]]
    negatives = normalize(draw(9, DIM, seed=6), dim=1)
    zero, bias = torch.zeros(DIM, DIM), torch.full((DIM,), 0.7)  # a constant is 0 after the layer normalisation

    for shift in (torch.zeros(DIM), torch.linspace(-2, 0, DIM)):
        nothing = Adapter(zero, bias, torch.full((DIM,), 3.0), shift)
        assert torch.equal(adapted(features, nothing), features)
        scores = adapted_log_odds(features, positives, negatives, nothing, 50.0, 3, 0)
        expected = grouped_log_odds(features, positives, negatives, 50.0, 3, 0)
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
        longer = adapted_log_odds(features, positives, 7.0 * negatives, nothing, 50.0, 3, 0)
        torch.testing.assert_close(longer, expected, rtol=0, atol=1e-12)

    above = Adapter(zero, bias, torch.ones(DIM), torch.full((DIM,), 0.1))  # then it is not
    assert not torch.equal(adapted(features, above), features)


def test_each_synthetic_image_is_labelled_with_its_nearest_negative():
    images, negatives = normalize(draw(40, DIM, seed=7), dim=1), normalize(draw(50, DIM, seed=8), dim=1)
    nearest = [max(range(50), key=lambda row: float(image @ negatives[row])) for image in images]
    for block in (8192, 7):
        used, position = nearest_used(images, negatives, block)
        assert used.tolist() == sorted(set(nearest))
        assert used[position].tolist() == nearest
    assert len(used) < 40


def test_wrong_inputs_are_refused(adapter: Adapter):
    with pytest.raises(ValueError, match=r"\(2, 5\) must be \(B, D\)"):
        adapted(torch.ones(2, 5), adapter)
    with pytest.raises(ValueError, match="no synthetic pictures"):
        nearest_used(torch.empty(0, DIM), torch.eye(DIM))
    with pytest.raises(ValueError, match="same encoder"):
        nearest_used(torch.eye(DIM), torch.eye(DIM + 1))
    with pytest.raises(ValueError, match="row 2 is zero"):
        text_side_loss(torch.eye(DIM)[:2], torch.tensor([0, 1]), torch.diag(torch.tensor([1.0, 1, 0, 1, 1, 1])), 10.0)
