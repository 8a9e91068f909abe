"""ANTS against a slow loop over texts and images, and what must hold whatever the model says."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from bare_evidence import evidence_of, ready
from random_features import random_unit
from torch import Tensor

from ood_lightning.detectors import ants
from ood_lightning.detectors.ants import ANTS, Describing
from ood_lightning.detectors.evidence import Evidence, Inputs, LabelFeatures
from ood_lightning.detectors.image_texts import BareTexts, ImageTexts, StreamImage
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit

SCALE, D, P, N, BATCH = 9.0, 8, 6, 25, 8
NAMES = [f"name {i}" for i in range(P)]


@dataclass(frozen=True)
class Canned(ImageTexts):
    """Says the same of every third image; of a class, labels of which one is a class name."""

    silent: bool = False

    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        return ["" if self.silent else f"sentence {int(image.key) % 7}." for image in images]

    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        if self.silent:
            return [[] for _ in names]
        return [
            [f"label {n}" for n in range(int(name.split()[1]), int(name.split()[1]) + 4)] + ["Name 1"] for name in names
        ]


DETECTOR = ANTS(texts=Canned(), history_group=9, updates=3)


def encoded(texts: Sequence[str]) -> Tensor:
    return torch.stack([random_unit(1, D, seed=100 + sum(map(ord, text)))[0] for text in texts])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the published run waits for, in small."""
    for name, value in {"GROUP": 4, "WAITING": 10, "MOST_SENTENCES": 12, "CLASSES": 3, "FIRST_BATCH": 2}.items():
        monkeypatch.setattr(ants, name, value)
    monkeypatch.setattr(ants, "EVERY_BATCHES", 5)


@pytest.fixture
def evidence() -> Evidence:
    labels = LabelFeatures(random_unit(P, D, seed=1), random_unit(N, D, seed=2), SCALE)
    return evidence_of({"neglabel": ready(labels, (NAMES, ["word"] * N))}, BareTexts(encoded))


@pytest.fixture
def images(evidence: Evidence) -> Tensor:
    labels = evidence.labels("neglabel")
    centres = torch.cat([labels.positives[:2], labels.negatives[:2]])
    return unit(0.9 * random_unit(120, D, seed=3) + centres[torch.arange(120) % 4])


STREAM = [StreamImage("a set", str(i), bytes) for i in range(120)]


def opened(detector: ANTS, evidence: Evidence) -> Describing:
    return cast(Describing, detector.open_on(evidence, STREAM))


def run(detector: ANTS, evidence: Evidence, images: Tensor) -> Tensor:
    stream = detector.open_on(evidence, STREAM)
    return torch.cat([stream(batch) for batch in images.split(BATCH)])


def by_hand(d: ANTS, evidence: Evidence, images: Tensor) -> list[float]:
    """S of all images, one image and one text at a time; numpy's histogram and percentile."""
    labels, texts = evidence.labels("neglabel"), cast(ImageTexts, d.texts)
    positives = labels.positives.double()

    def share(h: Tensor, negatives: Sequence[Tensor], size: int) -> float:
        groups = max(1, len(negatives) // size)
        kept = len(negatives) - len(negatives) % groups
        order = torch.randperm(kept, generator=torch.Generator().manual_seed(0)).tolist()
        mass, size_of_group = sum(math.exp(SCALE * float(h @ z)) for z in positives), kept // groups
        shares = []
        for g in range(groups):
            members = order[g * size_of_group : (g + 1) * size_of_group]
            shares.append(mass / (mass + sum(math.exp(SCALE * float(h @ negatives[i])) for i in members)))
        return sum(shares) / groups

    theta, far_texts, near_texts = d.threshold, list[str](), list[str]()
    history, far_history, near_history = list[float](), list[float](), list[float]()
    classes, cache, waiting, scores, updates = list[int](), dict[int, list[str]](), list[int](), list[float](), 0
    for t, batch in enumerate(images.double().split(BATCH), start=1):
        base = [share(h, labels.negatives.double(), 4) for h in batch]
        first = len(history)
        history += base
        classes += [max(range(P), key=lambda k, h=h: float(h @ positives[k])) for h in batch]
        waiting += [first + i for i, s in enumerate(base) if s < theta]

        if updates < d.updates and len(waiting) > 10:
            counts, edges = np.histogram(history, bins=10, range=(0, 1))
            below = [s for s in history if s < edges[1 + int(np.abs(np.diff(counts)).argmax())]]
            theta = float(np.percentile(below or history, 100 * d.eta))
            said = texts.describe([STREAM[i] for i in waiting])
            far_texts = (list(dict.fromkeys(s.rstrip(".") for s in said if s)) + far_texts)[-12:]
            waiting, updates = [], updates + 1

        if t in range(2, 100, 5):
            top = [k for k, _ in Counter(classes).most_common(3)]
            for k in top:
                if k not in cache:
                    cache[k] = texts.look_alikes([NAMES[k]])[0]
            cache = {k: cached for k, cached in cache.items() if k in top}
            near_texts = [s for s in dict.fromkeys(s for cached in cache.values() for s in cached) if s != "Name 1"]

        f, n = (list(encoded(side).double()) if side else [] for side in (far_texts, near_texts))
        sides = []
        for h, s in zip(batch, base, strict=True):
            many = len(f) > d.history_group
            s_far = share(h, f, 4 if many else len(f)) if f else s
            far_history.append(share(h, f, d.history_group if many else len(f)) if f else s)
            s_near = share(h, n, 4) if n else s
            near_history.append(share(h, n * 10, d.history_group) if n else s)
            sides.append((s_far, s_near))

        a, b = (1 - sum(side) / len(side) for side in (far_history, near_history))
        w = {"far": 1.0, "near": 0.0, "ada": a / (a + b)}[d.mode]
        scores += [w * s_far + (1 - w) * s_near for s_far, s_near in sides]
    return scores


@pytest.mark.parametrize(
    "change", [{}, {"mode": "far", "eta": 0.25}, {"mode": "near"}, {"history_group": 40, "updates": 1}, {"updates": 0}]
)
def test_equals_a_slow_loop(evidence: Evidence, images: Tensor, change: dict[str, Any]):
    detector = replace(DETECTOR, **change)
    expected = torch.tensor(by_hand(detector, evidence, images), dtype=torch.float64)
    log_odds = run(detector, evidence, images)
    torch.testing.assert_close(log_odds.sigmoid(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(log_odds, expected.logit(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", ["ada", "far", "near"])
def test_without_answers_it_is_neglabel(evidence: Evidence, images: Tensor, mode: Any):
    static = NegLabel(groups=N // 4)(images, evidence.labels("neglabel"))
    scores = run(replace(DETECTOR, texts=Canned(silent=True), mode=mode), evidence, images)
    torch.testing.assert_close(scores, static, atol=1e-12, rtol=0)


def test_far_and_near_bound_ada(evidence: Evidence, images: Tensor):
    of_far, of_near, both = (run(replace(DETECTOR, mode=mode), evidence, images) for mode in ("far", "near", "ada"))
    assert (both >= torch.minimum(of_far, of_near) - 1e-9).all()
    assert (both <= torch.maximum(of_far, of_near) + 1e-9).all()
    assert not torch.allclose(of_far, of_near)


def test_the_model_is_asked_when_it_is_time_to(evidence: Evidence, images: Tensor):
    stream = opened(replace(DETECTOR, updates=2), evidence)
    before = (0, stream.threshold, 0)
    for t, batch in enumerate(images.split(BATCH), start=1):
        labels = dict(stream.look_alikes)
        stream(batch)
        now = (stream.n_updates, stream.threshold, len(stream.far_texts))
        assert (now == before) or now[0] == before[0] + 1
        assert stream.look_alikes == labels or t in (2, 7, 12)
        assert len(stream.far_texts) <= 12
        assert len(stream.look_alikes) <= 3
        before = now

    assert stream.n_updates == 2
    assert 0 < len(stream.near_texts) <= 15  # five labels of three classes
    assert not stream.waiting  # nobody waits after the last update


def test_a_class_name_is_no_look_alike_of_another(evidence: Evidence, images: Tensor):
    stream = opened(DETECTOR, evidence)
    for batch in images.split(BATCH):
        stream(batch)
    kept = dict.fromkeys(label for labels in stream.look_alikes.values() for label in labels if label != "Name 1")
    torch.testing.assert_close(stream.near_texts, encoded(list(kept)))


def test_two_streams_share_nothing_and_an_empty_batch_changes_nothing(evidence: Evidence, images: Tensor):
    first = run(DETECTOR, evidence, images)
    stream = opened(DETECTOR, evidence)
    assert stream(images[:0]).shape == (0,)
    assert torch.equal(torch.cat([stream(batch) for batch in images.split(BATCH)]), first)


def test_it_needs_texts_and_says_who_wrote_them(evidence: Evidence):
    assert ANTS().missing() == "texts of a multimodal model (model.streams.<name>.texts)"
    assert DETECTOR.missing() == ""
    assert DETECTOR.supervision == {"test_stream", "llm"}
    assert ANTS().supervision == {"test_stream"}
    assert Inputs().lacking(ANTS.required_inputs) == [BareTexts]


@pytest.mark.parametrize("settings", [{"threshold": 1.1}, {"eta": -0.1}, {"updates": -1}, {"history_group": 0}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]):
    with pytest.raises(SettingsError, match=f"ANTS: {next(iter(settings))} is .*, expected "):
        ANTS(**settings)
