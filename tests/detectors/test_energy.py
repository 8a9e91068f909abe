"""Energy against a loop over raw cosines."""

import math

import pytest
import torch
from small_label_set import IMAGES, LABELS, check_each_image_is_scored_alone, cosines_by_loop

from ood_lightning.detectors.energy import Energy


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_it_is_the_temperature_times_the_log_of_summed_exponentials(temperature: float):
    rows = cosines_by_loop(IMAGES, LABELS.positives)
    expected = [temperature * math.log(sum(math.exp(c / temperature) for c in row)) for row in rows]
    scores = Energy(temperature=temperature)(IMAGES, LABELS)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=1e-5)
    assert torch.equal(Energy(temperature=temperature)(IMAGES, LABELS._replace(logit_scale=1.0)), scores)


def test_scores_do_not_depend_on_the_batch_or_the_order_of_names():
    check_each_image_is_scored_alone(Energy(temperature=0.1))
