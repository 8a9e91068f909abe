"""MCM against a slow float64 loop, and what must hold whatever the numbers."""

import math

import pytest
import torch
from random_features import random_unit
from small_label_set import (
    IMAGES,
    LABELS,
    SCALE,
    check_each_image_is_scored_alone,
    cosines_by_loop,
    nearly_sure_images,
    softmax_by_loop,
)

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.mcm import MCM
from ood_lightning.functional.roc import auroc


@pytest.mark.parametrize("temperature", [1.0, 0.01, 7.0])
def test_it_is_the_log_of_the_largest_softmax_of_raw_cosines(temperature: float):
    rows = cosines_by_loop(IMAGES, LABELS.positives)
    expected = [math.log(max(softmax_by_loop([c / temperature for c in row]))) for row in rows]

    scores = MCM(temperature=temperature)(IMAGES, LABELS)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)
    assert (scores <= 1e-9).all()
    torch.testing.assert_close(MCM(temperature=temperature)(IMAGES, LABELS._replace(logit_scale=99.0)), scores)


def test_without_a_temperature_it_is_the_models_own():
    assert torch.equal(MCM(temperature=None)(IMAGES, LABELS), MCM(temperature=1 / SCALE)(IMAGES, LABELS))
    sharper = LABELS._replace(logit_scale=99.0)
    assert (MCM(temperature=None)(IMAGES, sharper) > MCM(temperature=None)(IMAGES, LABELS)).all()


def test_scores_do_not_depend_on_the_batch_or_the_order_of_names():
    check_each_image_is_scored_alone(MCM())


def test_one_name_has_probability_one():
    one = LABELS._replace(positives=LABELS.positives[:1])
    assert MCM()(IMAGES, one).abs().max() < 1e-12


def test_an_image_like_one_name_outscores_an_image_between_two():
    labels = LabelFeatures(torch.eye(3)[:2], torch.eye(3)[:0], 77.0)
    sure, torn = (torch.nn.functional.normalize(torch.tensor([x])) for x in ([1.0, 0.0, 0.2], [0.7, 0.7, 0.2]))
    assert MCM()(sure, labels) > MCM()(torn, labels)


def test_scores_do_not_tie_where_the_probability_is_one():
    id_images, ood_images, labels = nearly_sure_images()
    two_names = labels._replace(positives=torch.eye(8)[:2])
    published = [
        (100 * images @ two_names.positives.T).softmax(dim=1).amax(dim=1) for images in (id_images, ood_images)
    ]
    assert float(auroc(*published)) == 0.5

    detector = MCM(temperature=0.01)
    assert float(auroc(detector(id_images, two_names), detector(ood_images, two_names))) == 1.0


def test_it_reads_true_names_and_no_negatives():
    detector = MCM()
    assert (detector.needs_negatives, detector.labels, detector.supervision) == (False, "names", frozenset())
    without = LABELS._replace(negatives=random_unit(1, 8, seed=4)[:0])
    assert torch.equal(detector(IMAGES, without), detector(IMAGES, LABELS))
