"""TANL against a slow loop, its threshold against a search, and what must hold of its prefixes."""

import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from bare_evidence import evidence_of
from random_features import random_unit
from threshold_by_search import threshold_by_search
from torch import Tensor

from ood_lightning.detectors.evidence import Evidence, ImageTower, LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.tanl import TANL, ActivationQueue, Activations, _first_of_ranking
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.functional.tanl import noise_images

SCALE = 9.0
DETECTOR = TANL(count=6, step=2, queue=5, scores=30)


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(random_unit(4, 8, seed=1), random_unit(13, 8, seed=2), SCALE)


@pytest.fixture
def images(labels: LabelFeatures) -> Tensor:
    texts = torch.cat([labels.positives[:2], labels.negatives[:2]])
    return unit(0.8 * random_unit(40, 8, seed=3) + texts[torch.arange(40) % 4])


def tower(images: Tensor) -> Tensor:
    """An image tower: a fixed random projection."""
    return unit((images - 0.5).flatten(1) @ torch.randn(12, 8, generator=torch.Generator().manual_seed(9)))


def evidence_with_tower(labels: LabelFeatures) -> Evidence:
    return evidence_of({"neglabel": labels}, image_tower=ImageTower((3, 2, 2), tower))


def run(detector: TANL, labels: LabelFeatures, images: Tensor, batch_size: int) -> Tensor:
    stream = detector.open(evidence_with_tower(labels))
    return torch.cat([stream(batch) for batch in images.split(batch_size)])


class ByHand:
    """TANL, one image and one label at a time."""

    def __init__(self, detector: TANL, labels: LabelFeatures) -> None:
        self.detector = detector
        self.positives, self.negatives = labels.positives.double(), labels.negatives.double()

    def masses(self, h: Tensor) -> tuple[float, list[float]]:
        positive = sum(math.exp(SCALE * float(h @ z)) for z in self.positives)
        return positive, [math.exp(SCALE * float(h @ z)) for z in self.negatives]

    def activation(self, h: Tensor) -> list[float]:
        positive, negative = self.masses(h)
        return [m / (positive + sum(negative)) for m in negative]

    def mean(self, rows: list[list[float]]) -> list[float]:
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)] if rows else [0.0] * len(self.negatives)

    def score(self, h: Tensor, ood_mean: list[float], id_mean: list[float]) -> float:
        d = self.detector
        order = sorted(range(len(self.negatives)), key=lambda j: -(ood_mean[j] - id_mean[j]))
        positive, negative = self.masses(h)
        prefixes = [*range(d.step, d.count + 1, d.step)] if d.step else [d.count]
        if d.step and d.count % d.step:
            prefixes.append(d.count)
        shares = [positive / (positive + sum(negative[j] for j in order[:k])) for k in prefixes]
        return sum(shares) / len(shares)

    def blend(self, queue: list[list[float]], batch: list[list[float]]) -> list[float]:
        if not batch:
            return self.mean(queue)
        history = self.detector.history
        return [history * q + (1 - history) * b for q, b in zip(self.mean(queue), self.mean(batch), strict=True)]

    def scores(self, images: Tensor, batch_size: int) -> list[float]:
        """S of every image."""
        d = self.detector
        draw = torch.Generator().manual_seed(d.seed)
        noise = tower(noise_images((3, 2, 2), 3, d.seed)).double()
        texts, noise = (side[torch.randperm(len(side), generator=draw)] for side in (self.positives, noise))
        id_queue = [self.activation(h) for h in texts][-d.queue :]
        ood_queue = [self.activation(h) for h in noise][-d.queue :]
        first = [self.score(h, self.mean(ood_queue), self.mean(id_queue)) for h in (*texts, *noise)]
        seen = first[-d.scores :]

        scores: list[float] = []
        for batch in images.double().split(batch_size):
            before = [self.score(h, self.mean(ood_queue), self.mean(id_queue)) for h in batch]
            seen = (seen + before)[-d.scores :]
            t = threshold_by_search(seen)

            of_id = [self.activation(h) for h, s in zip(batch, before, strict=True) if s > t + d.gap * (1 - t)]
            of_ood = [self.activation(h) for h, s in zip(batch, before, strict=True) if s < t - d.gap * t]
            ood_mean, id_mean = self.blend(ood_queue, of_ood), self.blend(id_queue, of_id)
            scores += [self.score(h, ood_mean, id_mean) for h in batch]

            id_queue = (id_queue + of_id)[-d.queue :]
            ood_queue = (ood_queue + of_ood)[-d.queue :]
        return scores


@pytest.mark.parametrize("batch_size", [1, 8, 40])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"history": 0.7},
        {"step": 0},
        {"step": 1, "gap": 0.2, "count": 13},
        {"scores": 5},  # 4 texts and 15 images of noise are more: the last five stay
        {"scores": 17, "gap": 0.1},
        {"step": 4},  # does not divide 6: prefixes of 4 and of 6
        {"step": 5, "count": 12},
        {"step": 1, "count": 20},  # of 13 negatives: the prefix of all of them stands eight times in the mean
        {"step": 9, "count": 30},
    ],
)
def test_equals_a_slow_loop(labels: LabelFeatures, images: Tensor, batch_size: int, change: dict[str, float]):
    detector = replace(DETECTOR, **change)  # type: ignore[arg-type]
    scores = run(detector, labels, images, batch_size)
    expected = torch.tensor(ByHand(detector, labels).scores(images, batch_size), dtype=torch.float64)
    torch.testing.assert_close(scores.sigmoid(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores, expected.logit(), atol=1e-4, rtol=1e-4)


def test_confident_images_fill_the_queues_and_the_oldest_leave(labels: LabelFeatures, images: Tensor):
    stream = Activations(DETECTOR, labels, random_unit(3, 8, seed=4))
    assert (len(stream.id_queue), len(stream.ood_queue), len(stream.shares)) == (4, 3, 7)
    for batch in images.split(8):
        stream(batch)
    assert (len(stream.id_queue), len(stream.ood_queue), len(stream.shares)) == (5, 5, 30)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 40])
def test_a_queue_holds_the_latest_and_its_mean_keeps_no_rounding_of_what_has_left(size: int):
    draw = torch.Generator().manual_seed(size)
    queue, kept = ActivationQueue(size, 3, torch.device("cpu")), torch.zeros(0, 3)
    for b in (0, 1, 5, 16, 0, 33, 2, 90, *[1] * 40):
        rows = torch.rand(b, 3, generator=draw) * torch.tensor([1.0, 1e-30, 1.0])
        rows[:, 2] *= 1e-25 if b == 1 else 1.0  # a large activation among small ones, which leaves
        queue.push(rows)
        kept = torch.cat([kept, rows])[-size:]
        assert len(queue) == len(kept)
        expected = [math.fsum(column.tolist()) / max(1, len(kept)) for column in kept.T]
        torch.testing.assert_close(queue.mean(), torch.tensor(expected, dtype=torch.float64), rtol=1e-14, atol=0)


def test_the_first_of_a_ranking_are_those_of_a_stable_sort():
    values = torch.randint(0, 5, (60,), generator=torch.Generator().manual_seed(0)).double()  # most of them tie
    for count in (1, 2, 13, 59, 60):
        expected = values.argsort(descending=True, stable=True)[:count]
        assert torch.equal(_first_of_ranking(values, count), expected)


def test_prefixes_score_at_least_as_high_as_all_at_once(labels: LabelFeatures, images: Tensor):
    # gap 1: no image is sure, so the ranking is the same for all
    plain, one, six = (run(replace(DETECTOR, step=g, gap=1.0), labels, images, 40) for g in (0, 1, 6))
    assert (one >= plain).all()
    torch.testing.assert_close(six, plain, atol=0, rtol=0)


def test_with_every_negative_at_once_it_is_label_mass(labels: LabelFeatures, images: Tensor):
    scores = run(TANL(count=10**6, step=0), labels, images, 8)
    torch.testing.assert_close(scores, LabelMass(sharpness=1.0)(images, labels), atol=1e-4, rtol=0)


def test_two_streams_share_nothing_and_an_empty_batch_changes_nothing(labels: LabelFeatures, images: Tensor):
    stream = DETECTOR.open(evidence_with_tower(labels))
    first = run(DETECTOR, labels, images, 40)
    assert stream(images[:0]).shape == (0,)
    assert torch.equal(stream(images), first)


@pytest.mark.parametrize(
    "settings",
    [
        {"step": 9, "count": 8},
        {"step": -1},
        {"count": 0},
        {"count": 10**9},
        {"queue": 0},
        {"gap": 1.1},
        {"history": -1},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]):
    with pytest.raises(SettingsError, match="expected"):
        TANL(**settings)  # type: ignore[arg-type]


def test_noise_comes_from_the_runs_tower_and_by_the_seed(labels: LabelFeatures):
    seen: list[Tensor] = []

    def spy(images: Tensor) -> Tensor:
        seen.append(images)
        return tower(images)

    evidence = replace(evidence_with_tower(labels), image_tower=ImageTower((3, 2, 2), spy))
    streams = [replace(DETECTOR, seed=seed, queue=50).open(evidence) for seed in (0, 0, 1)]
    assert [batch.shape for batch in seen] == [(15, 3, 2, 2)] * 3
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert all(batch.min() >= 0 and batch.max() <= 1 for batch in seen)
    assert {len(cast(Activations, stream).ood_queue) for stream in streams} == {15}


def test_an_image_like_a_positive_outscores_one_like_a_negative(labels: LabelFeatures):
    positive, negative = run(DETECTOR, labels, torch.stack([labels.positives[0], labels.negatives[0]]), 2)
    assert positive > negative
