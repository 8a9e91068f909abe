"""LabelMass against a slow float64 loop, and what must hold whatever the numbers."""

import math

import pytest
import torch
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

from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.functional.roc import auroc


@pytest.mark.parametrize("sharpness", [1.0, 10.0, 0.3])
def test_it_is_the_log_odds_of_equation_one(sharpness: float):
    s = sharpness * SCALE
    to_positives = cosines_by_loop(IMAGES, LABELS.positives)
    to_negatives = cosines_by_loop(IMAGES, LABELS.negatives)

    expected = []
    for inside, outside in zip(to_positives, to_negatives, strict=True):
        positive = sum(math.exp(s * c) for c in inside)
        negative = sum(math.exp(s * c) for c in outside)
        expected.append(math.log(positive / negative))

    scores = LabelMass(sharpness=sharpness)(IMAGES, LABELS)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("detector", [LabelMass(), LabelMass(sharpness=1.0)], ids=repr)
def test_scores_do_not_depend_on_the_batch_or_the_order_of_texts(detector: LabelMass):
    check_each_image_is_scored_alone(detector)
    check_negatives_without_groups_have_no_order(detector)


def test_texts_pull_scores_in_the_right_direction():
    check_a_positive_outscores_a_negative(LabelMass(sharpness=1.0))
    check_more_texts_move_every_score(LabelMass(sharpness=1.0))


def test_scores_do_not_tie_where_the_float32_share_is_one():
    id_images, ood_images, labels = nearly_sure_images()

    def share(images: Tensor) -> Tensor:
        """As published: exp and sum in float32 over all labels."""
        products = 100.0 * images @ torch.cat([labels.positives, labels.negatives]).T
        return products.softmax(dim=1)[:, :1].sum(dim=1)

    assert float(auroc(share(id_images), share(ood_images))) == 0.5  # every share is 1.0: nothing but ties
    detector = LabelMass(sharpness=1.0)
    assert float(auroc(detector(id_images, labels), detector(ood_images, labels))) == 1.0


def test_it_reads_a_mined_set_with_negatives_and_no_supervision():
    detector = LabelMass()
    assert (detector.needs_negatives, detector.labels, detector.supervision) == (True, "clustermine", frozenset())
