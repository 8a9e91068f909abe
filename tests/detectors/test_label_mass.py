"""LabelMass, MCM and NegLabel against slow float64 loops, and what must hold whatever the numbers."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ood_lightning.detectors.base import LabelDetector
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mcm import MCM
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.errors import SettingsError
from ood_lightning.functional.roc import auroc
from ood_lightning.functional.similarity import unit

SCALE = 14.3  # not 1, not 100


def draw(*shape: int, seed: int) -> Tensor:
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(draw(5, 8, seed=1), draw(23, 8, seed=2), SCALE)


@pytest.fixture
def images() -> Tensor:
    return draw(11, 8, seed=3)


def cosines(images: Tensor, texts: Tensor) -> list[list[float]]:
    return [[float(image.double() @ text.double()) for text in texts] for image in images]


def log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)


@pytest.mark.parametrize("sharpness", [1.0, 10.0, 0.3])
def test_label_mass_is_the_log_odds_of_equation_one(images: Tensor, labels: LabelFeatures, sharpness: float):
    s = sharpness * SCALE
    expected = []
    for near, far in zip(cosines(images, labels.positives), cosines(images, labels.negatives), strict=True):
        positive, negative = sum(math.exp(s * c) for c in near), sum(math.exp(s * c) for c in far)
        expected.append(math.log(positive / negative))
    found = LabelMass(sharpness=sharpness)(images, labels)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)
    share = torch.tensor([1 / (1 + math.exp(-w)) for w in expected], dtype=torch.float64)
    torch.testing.assert_close(found.sigmoid(), share, atol=1e-4, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.01, 7.0])
def test_mcm_is_the_log_of_the_largest_softmax_of_raw_cosines(
    images: Tensor, labels: LabelFeatures, temperature: float
):
    expected = []
    for near in cosines(images, labels.positives):
        exponentials = [math.exp(c / temperature) for c in near]
        expected.append(math.log(max(exponentials) / sum(exponentials)))
    found = MCM(temperature=temperature)(images, labels)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)
    assert (found <= 1e-9).all()
    torch.testing.assert_close(MCM(temperature=temperature)(images, labels._replace(logit_scale=99.0)), found)


@pytest.mark.parametrize("groups", [1, 2, 5, 23])
@pytest.mark.parametrize("permuted", [False, True])
def test_neglabel_is_the_mean_share_over_groups(images: Tensor, labels: LabelFeatures, groups: int, permuted: bool):
    kept = 23 - 23 % groups
    order = torch.randperm(kept, generator=torch.Generator().manual_seed(0)).tolist() if permuted else range(kept)
    size = kept // groups
    expected = []
    for near, far in zip(cosines(images, labels.positives), cosines(images, labels.negatives), strict=True):
        positive = sum(math.exp(SCALE * c) for c in near)
        shares = []
        for g in range(groups):
            group = [far[order[i]] for i in range(g * size, (g + 1) * size)]
            shares.append(positive / (positive + sum(math.exp(SCALE * c) for c in group)))
        expected.append(log_odds(sum(shares) / groups))
    found = NegLabel(groups=groups, permutation_seed=0 if permuted else None)(images, labels)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


EVERY = [LabelMass(), LabelMass(sharpness=1.0), MCM(), NegLabel(groups=4), NegLabel(groups=1)]


@pytest.mark.parametrize("detector", EVERY, ids=repr)
def test_scores_are_float64_one_an_image_and_do_not_depend_on_the_batch(
    images: Tensor, labels: LabelFeatures, detector: LabelDetector
):
    scores = detector(images, labels)
    assert (scores.shape, scores.dtype) == ((11,), torch.float64)
    torch.testing.assert_close(
        torch.cat([detector(image[None], labels) for image in images]), scores, atol=1e-4, rtol=0
    )
    torch.testing.assert_close(detector(images.flip(0), labels), scores.flip(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("detector", EVERY, ids=repr)
def test_the_order_of_the_positives_does_not_count(images: Tensor, labels: LabelFeatures, detector: LabelDetector):
    turned = labels._replace(positives=labels.positives.flip(0))
    torch.testing.assert_close(detector(images, turned), detector(images, labels), atol=1e-4, rtol=0)


@pytest.mark.parametrize("detector", [LabelMass(), NegLabel(groups=1)], ids=repr)
def test_the_order_of_the_negatives_does_not_count_without_groups(
    images: Tensor, labels: LabelFeatures, detector: LabelDetector
):
    turned = labels._replace(negatives=labels.negatives.flip(0))
    torch.testing.assert_close(detector(images, turned), detector(images, labels), atol=1e-4, rtol=0)


@pytest.mark.parametrize("detector", [LabelMass(sharpness=1.0), NegLabel(groups=4)], ids=repr)
def test_an_image_like_a_positive_outscores_one_like_a_negative(labels: LabelFeatures, detector: LabelDetector):
    positive, negative = detector(torch.stack([labels.positives[0], labels.negatives[0]]), labels)
    assert positive > negative


@pytest.mark.parametrize("detector", [LabelMass(sharpness=1.0), NegLabel(groups=4, permutation_seed=None)], ids=repr)
def test_one_more_positive_raises_every_score_and_one_more_negative_lowers_it(
    images: Tensor, labels: LabelFeatures, detector: LabelDetector
):
    scores = detector(images, labels)
    more = labels._replace(positives=torch.cat([labels.positives, draw(1, 8, seed=9)]))
    assert (detector(images, more) > scores).all()
    twenty = labels._replace(negatives=labels.negatives[:20])
    twice = labels._replace(negatives=twenty.negatives.repeat_interleave(2, dim=0))  # in groups of the same words
    assert (detector(images, twice) < detector(images, twenty)).all()


def test_neglabel_in_one_group_is_label_mass(images: Tensor, labels: LabelFeatures):
    torch.testing.assert_close(
        NegLabel(groups=1, permutation_seed=None)(images, labels),
        LabelMass(sharpness=1.0)(images, labels),
        atol=1e-9,
        rtol=0,
    )


def test_neglabel_drops_the_remainder_from_the_end(images: Tensor, labels: LabelFeatures):
    detector = NegLabel(groups=4)
    torch.testing.assert_close(
        detector(images, labels), detector(images, labels._replace(negatives=labels.negatives[:20]))
    )
    assert (detector(images, labels) != replace(detector, permutation_seed=1)(images, labels)).any()


def test_more_groups_than_negatives_is_an_error_that_says_what_to_do(images: Tensor, labels: LabelFeatures):
    with pytest.raises(SettingsError, match=r"23 negatives do not fill 24 groups: .*lower groups"):
        NegLabel(groups=24)(images, labels)
    with pytest.raises(SettingsError, match="do not fill 0 groups"):
        NegLabel(groups=0)(images, labels)


def saturating() -> tuple[Tensor, Tensor, LabelFeatures]:
    """Images that are all nearly sure: ID at a cosine of 0.60 to a positive, OOD at 0.50, nothing to the negatives."""
    axes = torch.eye(8)
    labels = LabelFeatures(axes[:1], axes[1:3], 100.0)

    def at(cosine: float) -> Tensor:
        side = draw(40, 5, seed=int(1000 * cosine))
        return torch.cat([torch.full((40, 1), cosine), torch.zeros(40, 2), side * math.sqrt(1 - cosine**2)], dim=1)

    return at(0.60), at(0.50), labels


@pytest.mark.parametrize("detector", [LabelMass(sharpness=1.0), NegLabel(groups=2)], ids=repr)
def test_scores_do_not_tie_where_the_float32_share_is_one(detector: LabelDetector):
    inside, outside, labels = saturating()

    def share(images: Tensor) -> Tensor:
        """As published: exp and sum in float32 over all labels."""
        products = 100.0 * images @ torch.cat([labels.positives, labels.negatives]).T
        return products.softmax(dim=1)[:, :1].sum(dim=1)

    assert float(auroc(share(inside), share(outside))) == 0.5  # every share is 1.0: nothing but ties
    assert float(auroc(detector(inside, labels), detector(outside, labels))) == 1.0


def test_mcm_does_not_tie_where_the_probability_is_one():
    inside, outside, labels = saturating()
    two = labels._replace(positives=torch.eye(8)[:2])
    naive = [(100 * images @ two.positives.T).softmax(dim=1).amax(dim=1) for images in (inside, outside)]
    assert float(auroc(*naive)) == 0.5
    detector = MCM(temperature=0.01)
    assert float(auroc(detector(inside, two), detector(outside, two))) == 1.0


def test_each_detector_says_what_it_needs():
    assert [d.needs_negatives for d in (LabelMass(), MCM(), NegLabel())] == [True, False, True]
    assert [d.labels for d in (LabelMass(), MCM(), NegLabel())] == ["clustermine", "names", "neglabel"]
    assert all(d.supervision == frozenset() for d in EVERY)
