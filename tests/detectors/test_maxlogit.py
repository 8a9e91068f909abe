"""MaxLogit against a loop over raw cosines."""

import torch
from small_label_set import IMAGES, LABELS, check_each_image_is_scored_alone, cosines_by_loop

from ood_lightning.detectors.energy import Energy
from ood_lightning.detectors.maxlogit import MaxLogit


def test_it_is_the_largest_cosine_and_does_not_read_the_scale():
    expected = torch.tensor([max(row) for row in cosines_by_loop(IMAGES, LABELS.positives)], dtype=torch.float64)
    scores = MaxLogit()(IMAGES, LABELS)
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(MaxLogit()(IMAGES, LABELS._replace(logit_scale=1.0)), scores)


def test_scores_do_not_depend_on_the_batch_or_the_order_of_names():
    check_each_image_is_scored_alone(MaxLogit())


def test_it_is_the_limit_of_energy_for_low_temperatures():
    torch.testing.assert_close(Energy(temperature=1e-3)(IMAGES, LABELS), MaxLogit()(IMAGES, LABELS), atol=2e-3, rtol=0)
