"""Debiased against the literal formula with plain sums, and what must always hold."""

import math
from dataclasses import replace

import pytest
import torch
from random_features import random_unit
from small_label_set import (
    IMAGES,
    LABELS,
    SCALE,
    check_a_positive_outscores_a_negative,
    check_each_image_is_scored_alone,
    cosines_by_loop,
    nearly_sure_images,
)

from ood_lightning.detectors.debiased import Debiased
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.errors import SettingsError
from ood_lightning.functional.roc import auroc

N_POSITIVES = len(LABELS.positives)


def by_loop(groups: int, t: float, order: list[int]) -> list[float]:
    """S(x) as the code has it: each name's share of Z, the mean over groups, then over names."""
    size, scores = len(order) // groups, []
    to_positives = cosines_by_loop(IMAGES, LABELS.positives)
    to_negatives = cosines_by_loop(IMAGES, LABELS.negatives)
    for inside, outside in zip(to_positives, to_negatives, strict=True):
        names = [math.exp(SCALE * c) for c in inside]
        shares = [0.0] * N_POSITIVES
        for g in range(groups):
            negatives = [math.exp(SCALE * outside[i]) for i in order[g * size : (g + 1) * size]]
            mean_negative = sum(negatives) / size / t - (1 - t) / t * sum(names) / N_POSITIVES
            z = sum(names) + size * mean_negative
            shares = [share + name / z / groups for share, name in zip(shares, names, strict=True)]
        scores.append(sum(shares) / N_POSITIVES)
    return scores


@pytest.mark.parametrize(("groups", "t"), [(5, 0.5), (5, 0.9), (11, 0.5), (1, 0.9), (4, 1.0)])
@pytest.mark.parametrize("seed", [None, 50])
def test_it_is_the_log_odds_of_the_literal_formula(groups: int, t: float, seed: int | None):
    kept = 23 - 23 % groups
    order = list(range(kept))
    if seed is not None:
        order = torch.randperm(kept, generator=torch.Generator().manual_seed(seed)).tolist()
    a = 1 - (kept // groups) * (1 - t) / (t * N_POSITIVES)

    scores = Debiased(groups=groups, true_share=t, permutation_seed=seed)(IMAGES, LABELS)
    expected = torch.tensor(by_loop(groups, t, order), dtype=torch.float64)
    torch.testing.assert_close(scores.sigmoid() / (N_POSITIVES * a), expected, atol=0, rtol=1e-5)
    assert (expected < 1 / (N_POSITIVES * a)).all()


def test_scores_do_not_depend_on_the_batch_or_the_order_of_positives():
    check_each_image_is_scored_alone(Debiased(groups=11))


def test_the_order_within_a_group_does_not_count():
    detector = Debiased(groups=11, permutation_seed=None)
    turned = LABELS.negatives[:22].view(11, 2, 8).flip(1).reshape(22, 8)
    torch.testing.assert_close(
        detector(IMAGES, LABELS._replace(negatives=turned)), detector(IMAGES, LABELS), atol=1e-4, rtol=0
    )


def test_texts_pull_scores_in_the_right_direction():
    check_a_positive_outscores_a_negative(Debiased(groups=11))
    detector, negatives = Debiased(groups=11, permutation_seed=None), LABELS.negatives[:22].clone()
    before = detector(IMAGES, LABELS._replace(negatives=negatives))
    negatives[3] = IMAGES[0]  # a negative that the first image is like, in a group of the same size
    assert detector(IMAGES, LABELS._replace(negatives=negatives))[0] < before[0]


def test_with_only_true_negatives_it_is_neglabel():
    same = {"groups": 4, "permutation_seed": 3}
    scores = Debiased(**same, true_share=1.0)(IMAGES, LABELS)
    torch.testing.assert_close(scores, NegLabel(**same)(IMAGES, LABELS), atol=0, rtol=0)


def test_one_group_ranks_as_label_mass():
    shifted = Debiased(groups=1, true_share=0.9, permutation_seed=None)(IMAGES, LABELS)
    difference = shifted - LabelMass(sharpness=1.0)(IMAGES, LABELS)
    torch.testing.assert_close(difference, difference[:1].expand(11), atol=1e-9, rtol=0)


def test_a_constant_on_all_cosines_changes_nothing():
    """One more dimension in which all images and all texts agree."""

    def lifted(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.full((len(x), 1), 0.7)], dim=1)

    more = LABELS._replace(positives=lifted(LABELS.positives), negatives=lifted(LABELS.negatives))
    detector = Debiased(groups=11)
    torch.testing.assert_close(detector(lifted(IMAGES), more), detector(IMAGES, LABELS), atol=1e-4, rtol=0)


def test_scores_do_not_tie_where_the_share_rounds_to_its_bound():
    id_images, ood_images, labels = nearly_sure_images()
    detector = Debiased(groups=2, true_share=0.9)
    assert float(auroc(detector(id_images, labels), detector(ood_images, labels))) == 1.0


def test_groups_that_are_too_large_are_refused_before_anything_is_scored():
    with pytest.raises(SettingsError, match=r"groups of 5 negatives .* 5 positives .* Q_max = 5\."):
        Debiased(groups=4)(IMAGES, LABELS)
    Debiased(groups=4, true_share=0.51)(IMAGES, LABELS)
    with pytest.raises(SettingsError, match=r"23 negatives do not fill 24 groups"):
        Debiased(groups=24)(IMAGES, LABELS)
    with pytest.raises(SettingsError, match="Debiased: true_share is 0, expected"):
        Debiased(true_share=0)


def test_the_seed_counts_and_the_remainder_is_dropped_from_the_end():
    detector = Debiased(groups=5)
    fewer = LABELS._replace(negatives=LABELS.negatives[:20])
    torch.testing.assert_close(detector(IMAGES, fewer), detector(IMAGES, LABELS))
    assert (replace(detector, permutation_seed=1)(IMAGES, LABELS) != detector(IMAGES, LABELS)).any()


def test_it_reads_a_set_with_negatives_and_no_supervision():
    detector = Debiased()
    assert (detector.needs_negatives, detector.labels, detector.supervision) == (True, "debiased", frozenset())


def test_many_positives_and_images_stay_finite():
    labels = LABELS._replace(positives=random_unit(200, 8, seed=5), logit_scale=1000.0)
    assert Debiased(groups=5)(IMAGES, labels).isfinite().all()
