"""Variance against a loop over raw cosines."""

import pytest
import torch
from small_label_set import (
    IMAGES,
    LABELS,
    check_each_image_is_scored_alone,
    cosines_by_loop,
    softmax_by_loop,
)
from torch.nn.functional import normalize

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.variance import Variance


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_it_is_the_population_variance_of_the_softmax(temperature: float):
    expected = []
    for row in cosines_by_loop(IMAGES, LABELS.positives):
        shares = softmax_by_loop([c / temperature for c in row])
        mean = sum(shares) / len(shares)
        expected.append(sum((p - mean) ** 2 for p in shares) / len(shares))

    scores = Variance(temperature=temperature)(IMAGES, LABELS)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-5)
    assert torch.equal(Variance(temperature=temperature)(IMAGES, LABELS._replace(logit_scale=1.0)), scores)


def test_scores_do_not_depend_on_the_batch_or_the_order_of_names():
    check_each_image_is_scored_alone(Variance(temperature=0.1))


def test_one_name_has_no_variance():
    one = LABELS._replace(positives=LABELS.positives[:1])
    assert Variance()(IMAGES, one).abs().max() < 1e-12


def test_an_image_like_one_name_outscores_an_image_between_two():
    labels = LabelFeatures(torch.eye(3)[:2], torch.eye(3)[:0], 77.0)
    sure, torn = normalize(torch.tensor([[1.0, 0.0, 0.2], [0.7, 0.7, 0.2]])).split(1)
    assert Variance()(sure, labels) > Variance()(torn, labels)
