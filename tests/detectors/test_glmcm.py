"""GL-MCM against a loop, and its invariants."""

import math

import pytest
import torch
from bare_evidence import evidence_of
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.mcm import MCM
from ood_lightning.functional.confidence import local_match

Sides = tuple[Tensor, Tensor, LabelFeatures]


@pytest.fixture
def sides() -> Sides:
    draw = torch.Generator().manual_seed(0)
    features, patches, names = (
        normalize(torch.randn(*shape, generator=draw), dim=-1) for shape in ((4, 6), (4, 9, 6), (5, 6))
    )
    return features, patches, LabelFeatures(names, names[:0], 100.0)


def score(detector: GLMCM, sides: Sides) -> Tensor:
    features, patches, labels = sides
    return detector.bind(evidence_of({"names": labels}))(features, patches)


def largest_share(vector: Tensor, names: Tensor, temperature: float) -> float:
    mass = [math.exp(float(vector.double() @ name.double()) / temperature) for name in names]
    return max(mass) / sum(mass)


@pytest.mark.parametrize("temperature", [1.0, 0.05])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_equals_a_loop_one_can_check_by_hand(sides: Sides, temperature: float, weight: float):
    features, patches, labels = sides
    expected = []
    for x, patches_of_x in zip(features, patches, strict=True):
        best = max(largest_share(patch, labels.positives, temperature) for patch in patches_of_x)
        expected.append(largest_share(x, labels.positives, temperature) + weight * best)

    scores = score(GLMCM(temperature=temperature, local_weight=weight), sides)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-6)


def test_weight_zero_is_mcm_and_all_scores_lie_between_0_and_1_plus_weight(sides: Sides):
    features, _, labels = sides
    torch.testing.assert_close(score(GLMCM(local_weight=0.0), sides), MCM()(features, labels).exp())
    for weight in (0.5, 1.0, 3.0):
        scores = score(GLMCM(local_weight=weight, temperature=0.01), sides)
        assert ((scores > 0) & (scores <= 1 + weight)).all()


def test_more_patches_never_lower_it_and_their_order_and_length_do_not_count(sides: Sides):
    features, patches, labels = sides
    whole = score(GLMCM(), sides)
    fewer = score(GLMCM(), (features, patches[:, :4], labels))
    assert (whole >= fewer - 1e-6).all()  # products of other shapes round otherwise
    assert (whole > fewer + 1e-3).any()
    torch.testing.assert_close(score(GLMCM(), (features, 3 * patches.flip(1), labels)), whole)


def test_equal_patches_count_as_one(sides: Sides):
    features, patches, labels = sides
    one = score(GLMCM(), (features, patches[:, :1], labels))
    torch.testing.assert_close(score(GLMCM(), (features, patches[:, :1].expand(-1, 9, -1), labels)), one)


@pytest.mark.parametrize("block", [1, 2, 5, 36, 4096])
def test_the_block_size_does_not_count(sides: Sides, block: int):
    _, patches, labels = sides
    matched = local_match(patches, labels.positives, 0.1, block=block)
    torch.testing.assert_close(matched, local_match(patches, labels.positives, 0.1), atol=1e-7, rtol=1e-6)


def test_half_precision_patches_score_nearly_the_same(sides: Sides):
    features, patches, labels = sides
    half = score(GLMCM(), (features, patches.half(), labels))
    assert half.dtype == torch.float64
    torch.testing.assert_close(half, score(GLMCM(), sides), atol=1e-3, rtol=0)
