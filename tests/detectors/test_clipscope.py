"""CLIPScope against a slow loop over single images, and what must hold of its counts."""

import math

import pytest
import torch
from bare_evidence import evidence_of
from random_features import random_unit
from torch import Tensor

from ood_lightning.detectors.clipscope import ClassCounts, CLIPScope
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.functional.similarity import unit


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(random_unit(5, 8, seed=1), random_unit(23, 8, seed=2), 14.3)


@pytest.fixture
def images() -> Tensor:
    return random_unit(40, 8, seed=3)


def by_hand(images: Tensor, labels: LabelFeatures, scale: float) -> list[float]:
    """The formula, one image after another."""
    counts = [1] * len(labels.positives)
    scores = []
    for image in images.double():
        inside, outside = ([math.exp(scale * float(image @ text.double())) for text in side] for side in labels[:2])
        k = inside.index(max(inside))
        share = sum(inside) / (sum(inside) + sum(outside))
        scores.append(inside[k] / sum(inside) * share / (counts[k] / sum(counts)))
        counts[k] += 1
    return scores


@pytest.mark.parametrize("batch_size", [1, 7, 40])
@pytest.mark.parametrize("sharpness", [1.0, 0.5])
def test_equals_a_loop_over_single_images(images: Tensor, labels: LabelFeatures, batch_size: int, sharpness: float):
    stream = CLIPScope(sharpness=sharpness).open(evidence_of({"neglabel": labels}))
    scores = torch.cat([stream(batch) for batch in images.split(batch_size)])
    expected = torch.tensor(by_hand(images, labels, sharpness * 14.3), dtype=torch.float64)
    torch.testing.assert_close(scores, expected.log(), atol=1e-4, rtol=0)
    assert scores.dtype == torch.float64


def test_the_first_image_meets_uniform_counts(images: Tensor, labels: LabelFeatures):
    single = torch.cat([ClassCounts(labels, 1.0)(image[None]) for image in images])
    logits = 14.3 * (images @ labels.positives.T).double()
    share = (logits.logsumexp(1) - (14.3 * (images @ labels.negatives.T)).double().logsumexp(1)).sigmoid()
    expected = len(labels.positives) * logits.softmax(1).amax(1) * share
    torch.testing.assert_close(single.exp(), expected, atol=1e-4, rtol=1e-4)


def test_an_image_that_returns_scores_lower_each_time(images: Tensor, labels: LabelFeatures):
    scores = ClassCounts(labels, 1.0)(images[:1].repeat(20, 1))
    assert (scores.diff() < 0).all()


def test_counts_are_one_for_each_class_and_one_for_each_image(images: Tensor, labels: LabelFeatures):
    stream = ClassCounts(labels, 1.0)
    for seen in (0, 15, 40):
        assert int(stream.counts.sum()) == 5 + seen
        if seen < 40:
            stream(images[seen : 15 if seen == 0 else 40])
    assert int(stream.counts.min()) >= 1


def test_the_order_counts_and_an_empty_batch_does_not(images: Tensor, labels: LabelFeatures):
    scores = ClassCounts(labels, 1.0)(images)
    turned = ClassCounts(labels, 1.0)(images.flip(0)).flip(0)
    assert (scores - turned).abs().max() > 0.1
    stream = ClassCounts(labels, 1.0)
    assert stream(images[:0]).shape == (0,)
    torch.testing.assert_close(stream(images), scores, atol=0, rtol=0)


def test_two_streams_share_nothing(images: Tensor, labels: LabelFeatures):
    detector, evidence = CLIPScope(), evidence_of({"neglabel": labels})
    first = detector.open(evidence)(images)
    torch.testing.assert_close(detector.open(evidence)(images), first, atol=0, rtol=0)


def test_images_that_are_certain_do_not_tie():
    labels = LabelFeatures(torch.eye(8)[:3], torch.eye(8)[3:6], 28.0)  # log-odds near 28: 1 in float32, not in float64
    alike = unit(labels.positives[:1] + 0.02 * random_unit(6, 8, seed=5))
    scores = torch.cat([ClassCounts(labels, 1.0)(image[None]) for image in alike])
    assert len((scores - math.log(3)).exp().float().unique()) == 1
    assert len(scores.unique()) == 6


def test_an_image_like_a_positive_outscores_one_like_a_negative(labels: LabelFeatures):
    positive, negative = CLIPScope().open(evidence_of({"neglabel": labels}))(
        torch.stack([labels.positives[0], labels.negatives[0]])
    )
    assert positive > negative
