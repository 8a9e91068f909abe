"""NegLabel against slow loops: log-odds in float64, and the share in float16 as OpenOOD-VLM computes it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_features import random_unit
from small_label_set import (
    IMAGES,
    LABELS,
    SCALE,
    check_a_positive_outscores_a_negative,
    check_each_image_is_scored_alone,
    check_more_texts_move_every_score,
    check_negatives_without_groups_have_no_order,
    cosines_by_loop,
    nearly_sure_images,
)
from torch import Tensor

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.errors import SettingsError
from ood_lightning.functional.grouping import group_members
from ood_lightning.functional.half import half_logits
from ood_lightning.functional.roc import auroc

HALF_LABELS = LabelFeatures(random_unit(5, 16, seed=1), random_unit(23, 16, seed=2), 100.0)


@pytest.mark.parametrize("groups", [1, 2, 5, 23])
@pytest.mark.parametrize("permuted", [False, True])
def test_it_is_the_log_odds_of_the_mean_share_over_groups(groups: int, permuted: bool):
    kept = 23 - 23 % groups
    order = list(range(kept))
    if permuted:
        order = torch.randperm(kept, generator=torch.Generator().manual_seed(0)).tolist()
    size = kept // groups

    expected = []
    to_positives = cosines_by_loop(IMAGES, LABELS.positives)
    to_negatives = cosines_by_loop(IMAGES, LABELS.negatives)
    for inside, outside in zip(to_positives, to_negatives, strict=True):
        positive = sum(math.exp(SCALE * c) for c in inside)
        shares = []
        for g in range(groups):
            negative = sum(math.exp(SCALE * outside[i]) for i in order[g * size : (g + 1) * size])
            shares.append(positive / (positive + negative))
        mean = sum(shares) / groups
        expected.append(math.log(mean) - math.log1p(-mean))

    scores = NegLabel(groups=groups, permutation_seed=0 if permuted else None)(IMAGES, LABELS)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("detector", [NegLabel(groups=4), NegLabel(groups=1)], ids=repr)
def test_scores_do_not_depend_on_the_batch_or_the_order_of_positives(detector: NegLabel):
    check_each_image_is_scored_alone(detector)


def test_without_groups_negatives_have_no_order():
    check_negatives_without_groups_have_no_order(NegLabel(groups=1))


def test_texts_pull_scores_in_the_right_direction():
    check_a_positive_outscores_a_negative(NegLabel(groups=4))
    check_more_texts_move_every_score(NegLabel(groups=4, permutation_seed=None))


def test_in_one_group_it_is_label_mass():
    one_group = NegLabel(groups=1, permutation_seed=None)(IMAGES, LABELS)
    torch.testing.assert_close(one_group, LabelMass(sharpness=1.0)(IMAGES, LABELS), atol=1e-9, rtol=0)


def test_the_remainder_is_dropped_from_the_end_and_the_seed_counts():
    detector = NegLabel(groups=4)
    scores = detector(IMAGES, LABELS)
    torch.testing.assert_close(detector(IMAGES, LABELS._replace(negatives=LABELS.negatives[:20])), scores)
    assert (replace(detector, permutation_seed=1)(IMAGES, LABELS) != scores).any()


def test_more_groups_than_negatives_is_an_error_that_says_what_to_do():
    with pytest.raises(SettingsError, match=r"23 negatives do not fill 24 groups: .*lower groups"):
        NegLabel(groups=24)(IMAGES, LABELS)
    with pytest.raises(SettingsError, match="NegLabel: groups is 0, expected 1 to "):
        NegLabel(groups=0)


def test_scores_do_not_tie_where_the_share_rounds_to_one():
    id_images, ood_images, labels = nearly_sure_images()
    detector = NegLabel(groups=2)
    assert float(auroc(detector(id_images, labels), detector(ood_images, labels))) == 1.0


def test_it_reads_a_set_with_negatives_and_no_supervision():
    detector = NegLabel()
    assert (detector.needs_negatives, detector.labels, detector.supervision) == (True, "neglabel", frozenset())


def half_by_loop(image: Tensor, labels: LabelFeatures, groups: int) -> float:
    """Without a permutation; every value that the code stores is a half, and the image meets the scale first."""
    h, p, n = (x.numpy().astype(np.float16) for x in (image, labels.positives, labels.negatives))
    scaled = [np.float16(100) * x for x in h]  # a product of halves is a half
    size = len(n) // groups

    shares = []
    for g in range(groups):
        texts = [*p, *n[g * size : (g + 1) * size]]
        pairs = ([float(s) * float(z) for s, z in zip(scaled, text, strict=True)] for text in texts)
        logits = [float(np.float16(math.fsum(products))) for products in pairs]
        powers = [math.exp(logit - max(logits)) for logit in logits]
        softmax = [float(np.float16(power / math.fsum(powers))) for power in powers]
        shares.append(float(np.float16(math.fsum(softmax[: len(p)]))))
    return float(np.float16(math.fsum(shares) / groups))


@pytest.mark.parametrize("groups", [1, 4, 23])
def test_with_half_every_step_is_rounded_to_float16(groups: int):
    images = random_unit(300, 16, seed=3)
    scores = NegLabel(groups=groups, permutation_seed=None, half=True)(images, HALF_LABELS)
    expected = torch.tensor([half_by_loop(image, HALF_LABELS, groups) for image in images], dtype=torch.float64)

    assert scores.dtype == torch.float64
    assert scores.equal(scores.half().double())
    assert scores.equal(expected)


def test_half_rounds_the_scaled_image_and_not_the_cosine():
    image, text = torch.tensor([[0.1234, 0.5]]), torch.tensor([[0.9, 0.3]])
    (h, k), (y, z) = (x[0].numpy().astype(np.float16) for x in (image, text))
    products = float(np.float16(100) * h) * float(y), float(np.float16(100) * k) * float(z)
    assert float(half_logits(image, text, 100.0)) == float(np.float16(sum(products)))

    cosine = np.float16(float(h) * float(y) + float(k) * float(z))
    assert float(half_logits(image, text, 100.0)) != float(np.float16(100) * cosine)


def test_halves_saturate_where_the_log_odds_do_not():
    noisy = HALF_LABELS.positives.repeat(8, 1) + 0.2 * random_unit(40, 16, seed=4)
    images = torch.nn.functional.normalize(noisy)
    exact, half = (NegLabel(groups=1, half=half)(images, HALF_LABELS) for half in (False, True))

    sure = exact > 8.4
    assert sure.sum() > 10
    assert (half[sure] == 1).all()
    assert len(exact[sure].unique()) == sure.sum()
    torch.testing.assert_close(half, exact.sigmoid(), atol=2e-2, rtol=0)


def test_groups_drop_the_tail_before_they_are_permuted():
    assert group_members(7, 3, None).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert group_members(7, 1, None).tolist() == [list(range(7))]
    assert group_members(10_499, 100, None).shape == (100, 104)

    permuted = torch.randperm(6, generator=torch.Generator().manual_seed(4))
    assert torch.equal(group_members(7, 3, 4), permuted.view(3, 2))
