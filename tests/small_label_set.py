"""A small label set and some images, for detectors that compare an image with texts and need nothing else."""

import math

import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.detectors.base import LabelDetector
from ood_lightning.detectors.evidence import LabelFeatures

SCALE = 14.3  # not 1, not 100: a detector that ignores or repeats it is seen
LABELS = LabelFeatures(random_unit(5, 8, seed=1), random_unit(23, 8, seed=2), SCALE)
IMAGES = random_unit(11, 8, seed=3)


def cosines_by_loop(images: Tensor, texts: Tensor) -> list[list[float]]:
    """In float64, one product at a time."""
    return [[float(image.double() @ text.double()) for text in texts] for image in images]


def softmax_by_loop(values: list[float]) -> list[float]:
    mass = [math.exp(value) for value in values]
    return [m / sum(mass) for m in mass]


def check_each_image_is_scored_alone(detector: LabelDetector) -> None:
    """Scores are float64, one for each image, and do not depend on the batch or on the order of the positives."""
    scores = detector(IMAGES, LABELS)
    assert (scores.shape, scores.dtype) == ((11,), torch.float64)

    single = torch.cat([detector(image[None], LABELS) for image in IMAGES])
    torch.testing.assert_close(single, scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(detector(IMAGES.flip(0), LABELS), scores.flip(0), atol=1e-4, rtol=0)

    turned = LABELS._replace(positives=LABELS.positives.flip(0))
    torch.testing.assert_close(detector(IMAGES, turned), scores, atol=1e-4, rtol=0)


def check_negatives_without_groups_have_no_order(detector: LabelDetector) -> None:
    turned = LABELS._replace(negatives=LABELS.negatives.flip(0))
    torch.testing.assert_close(detector(IMAGES, turned), detector(IMAGES, LABELS), atol=1e-4, rtol=0)


def check_a_positive_outscores_a_negative(detector: LabelDetector) -> None:
    """An image equal to a positive scores higher than one equal to a negative."""
    positive, negative = detector(torch.stack([LABELS.positives[0], LABELS.negatives[0]]), LABELS)
    assert positive > negative


def check_more_texts_move_every_score(detector: LabelDetector) -> None:
    """One more positive raises every score; every negative a second time, in the same groups, lowers it."""
    more = LABELS._replace(positives=torch.cat([LABELS.positives, random_unit(1, 8, seed=9)]))
    assert (detector(IMAGES, more) > detector(IMAGES, LABELS)).all()

    once = LABELS._replace(negatives=LABELS.negatives[:20])
    twice = LABELS._replace(negatives=once.negatives.repeat_interleave(2, dim=0))
    assert (detector(IMAGES, twice) < detector(IMAGES, once)).all()


def nearly_sure_images() -> tuple[Tensor, Tensor, LabelFeatures]:
    """ID images at a cosine of 0.60 to a positive, OOD images at 0.50, both at 0 to the negatives; scale 100."""
    axes = torch.eye(8)
    labels = LabelFeatures(axes[:1], axes[1:3], 100.0)

    def at(cosine: float) -> Tensor:
        rest = random_unit(40, 5, seed=int(1000 * cosine)) * math.sqrt(1 - cosine**2)
        return torch.cat([torch.full((40, 1), cosine), torch.zeros(40, 2), rest], dim=1)

    return at(0.60), at(0.50), labels
