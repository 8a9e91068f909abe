"""TANL against a slow loop, its threshold against a search, and what must hold of its prefixes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
import torch
from bare_evidence import evidence_of
from torch import Tensor

from ood_lightning.detectors.evidence import Evidence, ImageTower, LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.tanl import TANL, Activations
from ood_lightning.errors import SettingsError
from ood_lightning.functional.noise import noise_images
from ood_lightning.functional.otsu import otsu_threshold
from ood_lightning.functional.similarity import unit

SCALE = 9.0
DETECTOR = TANL(count=6, step=2, queue=5, scores=30)


def draw(*shape: int, seed: int) -> Tensor:
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(draw(4, 8, seed=1), draw(13, 8, seed=2), SCALE)


@pytest.fixture
def images(labels: LabelFeatures) -> Tensor:
    texts = torch.cat([labels.positives[:2], labels.negatives[:2]])
    return unit(0.8 * draw(40, 8, seed=3) + texts[torch.arange(40) % 4])


def tower(pictures: Tensor) -> Tensor:
    """An image tower: a fixed random projection."""
    return unit((pictures - 0.5).flatten(1) @ torch.randn(12, 8, generator=torch.Generator().manual_seed(9)))


def around(labels: LabelFeatures) -> Evidence:
    return evidence_of({"neglabel": labels}, image_tower=ImageTower((3, 2, 2), tower))


def run(detector: TANL, labels: LabelFeatures, images: Tensor, batch_size: int) -> Tensor:
    stream = detector.open(around(labels))
    return torch.cat([stream(batch) for batch in images.split(batch_size)])


def threshold_by_search(scores: Sequence[float]) -> float:
    def spread(part: list[float]) -> float:
        return sum((s - sum(part) / len(part)) ** 2 for s in part) if part else 0.0

    candidates = [i / 100 for i in range(100)]
    within = [spread([s for s in scores if s > t]) + spread([s for s in scores if s <= t]) for t in candidates]
    best = [t for t, w in zip(candidates, within, strict=True) if w <= min(within) + 1e-12]
    return best[len(best) // 2]


def by_hand(d: TANL, labels: LabelFeatures, images: Tensor, batch_size: int) -> list[float]:
    """S, one image and one label at a time."""
    near, far = labels.positives.double(), labels.negatives.double()

    def masses(h: Tensor) -> tuple[float, list[float]]:
        return sum(math.exp(SCALE * float(h @ z)) for z in near), [math.exp(SCALE * float(h @ z)) for z in far]

    def activation(h: Tensor) -> list[float]:
        positive, negative = masses(h)
        return [m / (positive + sum(negative)) for m in negative]

    def mean(rows: list[list[float]]) -> list[float]:
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)] if rows else [0.0] * len(far)

    def score(h: Tensor, ood: list[float], known: list[float]) -> float:
        order = sorted(range(len(far)), key=lambda j: -(ood[j] - known[j]))
        positive, negative = masses(h)
        prefixes = range(d.step, d.count + 1, d.step) if d.step else [d.count]
        shares = [positive / (positive + sum(negative[j] for j in order[:k])) for k in prefixes]
        return sum(shares) / len(shares)

    def blend(queue: list[list[float]], batch: list[list[float]]) -> list[float]:
        if not batch:
            return mean(queue)
        return [d.history * q + (1 - d.history) * b for q, b in zip(mean(queue), mean(batch), strict=True)]

    draw = torch.Generator().manual_seed(d.seed)
    noise = tower(noise_images((3, 2, 2), 3, d.seed)).double()
    texts, nothing = ([side[i] for i in torch.randperm(len(side), generator=draw).tolist()] for side in (near, noise))
    known, ood = ([activation(h) for h in side][-d.queue :] for side in (texts, nothing))
    seen, found = [score(h, mean(ood), mean(known)) for h in [*texts, *nothing]][-d.scores :], []
    for batch in images.double().split(batch_size):
        before = [score(h, mean(ood), mean(known)) for h in batch]
        seen = (seen + before)[-d.scores :]
        t = threshold_by_search(seen)
        sure = [activation(h) for h, s in zip(batch, before, strict=True) if s > t + d.gap * (1 - t)]
        strange = [activation(h) for h, s in zip(batch, before, strict=True) if s < t - d.gap * t]
        found += [score(h, blend(ood, strange), blend(known, sure)) for h in batch]
        known, ood = (known + sure)[-d.queue :], (ood + strange)[-d.queue :]
    return found


@pytest.mark.parametrize("batch_size", [1, 8, 40])
@pytest.mark.parametrize("change", [{}, {"history": 0.7}, {"step": 0}, {"step": 1, "gap": 0.2, "count": 13}])
def test_equals_a_slow_loop(labels: LabelFeatures, images: Tensor, batch_size: int, change: dict[str, float]):
    detector = replace(DETECTOR, **change)  # type: ignore[arg-type]
    found = run(detector, labels, images, batch_size)
    expected = torch.tensor(by_hand(detector, labels, images, batch_size), dtype=torch.float64)
    torch.testing.assert_close(found.sigmoid(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found, expected.logit(), atol=1e-4, rtol=1e-4)


def test_confident_images_fill_the_queues_and_the_oldest_leave(labels: LabelFeatures, images: Tensor):
    stream = Activations(DETECTOR, labels, draw(3, 8, seed=4))
    assert (len(stream.id_queue), len(stream.ood_queue), len(stream.shares)) == (4, 3, 7)
    for batch in images.split(8):
        stream(batch)
    assert (len(stream.id_queue), len(stream.ood_queue), len(stream.shares)) == (5, 5, 30)


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_the_grid(seed: int):
    draw = torch.Generator().manual_seed(seed)
    scores = torch.cat([torch.rand(30, generator=draw) * 0.4, 0.5 + torch.rand(20 - seed, generator=draw) * 0.5])
    assert otsu_threshold(scores) == threshold_by_search(scores.double().tolist())
    assert otsu_threshold(torch.full((7,), 0.4)) == 0.5  # nothing to part: the middle of the grid


def test_scores_that_are_no_shares_have_no_threshold():
    for wrong in (torch.tensor([1.5]), torch.empty(0)):
        with pytest.raises(ValueError, match=r"all in \[0, 1\]"):
            otsu_threshold(wrong)


def test_prefixes_score_at_least_as_high_as_all_at_once(labels: LabelFeatures, images: Tensor):
    # gap 1: nobody is sure, so the ranking is the same for all
    plain, one, six = (run(replace(DETECTOR, step=g, gap=1.0), labels, images, 40) for g in (0, 1, 6))
    assert (one >= plain).all()
    torch.testing.assert_close(six, plain, atol=0, rtol=0)


def test_with_every_negative_at_once_it_is_label_mass(labels: LabelFeatures, images: Tensor):
    found = run(TANL(count=10**6, step=0), labels, images, 8)
    torch.testing.assert_close(found, LabelMass(sharpness=1.0)(images, labels), atol=1e-4, rtol=0)


def test_two_streams_share_nothing_and_an_empty_batch_changes_nothing(labels: LabelFeatures, images: Tensor):
    stream = DETECTOR.open(around(labels))
    first = run(DETECTOR, labels, images, 40)
    assert stream(images[:0]).shape == (0,)
    assert torch.equal(stream(images), first)


@pytest.mark.parametrize(
    "settings", [{"step": 9, "count": 8}, {"count": 0}, {"queue": 0}, {"gap": 1.1}, {"history": -1}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]):
    with pytest.raises(SettingsError, match="expected"):
        TANL(**settings)  # type: ignore[arg-type]


def test_noise_comes_from_the_runs_tower_and_by_the_seed(labels: LabelFeatures):
    seen: list[Tensor] = []

    def spy(pictures: Tensor) -> Tensor:
        seen.append(pictures)
        return tower(pictures)

    evidence = replace(around(labels), image_tower=ImageTower((3, 2, 2), spy))
    streams = [replace(DETECTOR, seed=seed, queue=50).open(evidence) for seed in (0, 0, 1)]
    assert [batch.shape for batch in seen] == [(15, 3, 2, 2)] * 3
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert all(batch.min() >= 0 and batch.max() <= 1 for batch in seen)
    assert {len(cast(Activations, stream).ood_queue) for stream in streams} == {15}


def test_an_image_like_a_positive_outscores_one_like_a_negative(labels: LabelFeatures):
    positive, negative = run(DETECTOR, labels, torch.stack([labels.positives[0], labels.negatives[0]]), 2)
    assert positive > negative
