"""NegLabel in float16, as OpenOOD-VLM computes it: against NumPy's own halves, and its ties."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.functional.similarity import unit


def draw(*shape: int, seed: int) -> Tensor:
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(draw(5, 16, seed=1), draw(23, 16, seed=2), 100.0)


def by_loop(image: Tensor, labels: LabelFeatures, groups: int) -> float:
    """Without a permutation; every value that the code stores is a half."""
    h, p, n = (x.numpy().astype(np.float16).astype(np.float64) for x in (image, labels.positives, labels.negatives))
    size = len(n) // groups
    shares = []
    for g in range(groups):
        texts = np.concatenate([p, n[g * size : (g + 1) * size]])
        logits = np.float16(100) * (texts @ h).astype(np.float16)
        e = np.exp(logits.astype(np.float64) - float(logits.max()))
        softmax = (e / e.sum()).astype(np.float16)
        shares.append(np.float16(softmax[: len(p)].astype(np.float64).sum()))
    return float(np.float16(np.mean(np.array(shares), dtype=np.float64)))


@pytest.mark.parametrize("groups", [1, 4])
def test_every_step_is_rounded_to_a_half(labels: LabelFeatures, groups: int):
    images = draw(40, 16, seed=3)
    found = NegLabel(groups=groups, permutation_seed=None, half=True)(images, labels)
    expected = torch.tensor([by_loop(image, labels, groups) for image in images], dtype=torch.float64)
    assert found.dtype == torch.float64
    assert found.equal(found.half().double())
    torch.testing.assert_close(found, expected, atol=2.0**-10, rtol=2e-3)  # one step, where float32 and float64 part
    assert (found == expected).float().mean() > 0.8


def test_halves_saturate_where_the_log_odds_do_not(labels: LabelFeatures):
    images = unit(labels.positives.repeat(8, 1) + 0.2 * draw(40, 16, seed=4))
    exact, half = (NegLabel(groups=1, half=half)(images, labels) for half in (False, True))
    sure = exact > 8.4
    assert sure.sum() > 10
    assert (half[sure] == 1).all()
    assert len(exact[sure].unique()) == sure.sum()
    torch.testing.assert_close(half, exact.sigmoid(), atol=2e-2, rtol=0)
