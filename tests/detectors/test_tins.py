"""TINS against a slow loop with the gradients by hand, and what must hold of bank and buffer."""

import math
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from bare_evidence import evidence_of, ready
from random_features import random_unit
from stream_checks import (
    check_an_empty_batch_changes_nothing,
    check_fresh_streams_agree,
    check_inference_mode_changes_nothing,
    run,
)
from torch import Tensor

from ood_lightning.detectors.evidence import ClassBoundsBySet, Evidence, Inputs, LabelFeatures
from ood_lightning.detectors.tins import TINS, SoftWords, WordInversions
from ood_lightning.encoders.soft_tokens import SoftTokenTexts
from ood_lightning.errors import SettingsError
from ood_lightning.functional.grouping import grouped_mean_log_odds
from ood_lightning.functional.intermodal import class_bounds, gaps
from ood_lightning.functional.similarity import unit

SCALE, D, W, N = 9.0, 8, 5, 13
WORDS = tuple(f"word {i}" for i in range(N))
DETECTOR = TINS(groups=2, bank=6, buffer=4, threshold=0.6, lr=0.05, steps=8)

MATRIX, CONSTANTS = 0.5 * random_unit(W, D, seed=11), 0.7 * random_unit(N, D, seed=12)
EMBEDDING = random_unit(40, W, seed=13)
END = 39


def linear(tokens: Tensor, positions: Tensor, vectors: Tensor) -> Tensor:
    """A text tower that one can differentiate by hand: a constant of the text, plus the vector times a matrix."""
    assert (positions == 1).all()
    return CONSTANTS[tokens[:, 0]].to(vectors.dtype) + vectors @ MATRIX.to(vectors.dtype)


def texts(words: tuple[str, ...]) -> SoftTokenTexts:
    """Text j holds the tokens j, 20 + j, and the end."""
    rows = torch.tensor([WORDS.index(word) for word in words])
    tokens = torch.stack([rows, 20 + rows, torch.full_like(rows, END)], dim=1)
    return SoftTokenTexts(tokens, torch.ones_like(rows), linear, EMBEDDING)


@pytest.fixture
def evidence() -> Evidence:
    labels = LabelFeatures(random_unit(4, D, seed=1), random_unit(N, D, seed=2), SCALE)
    near_names = unit(0.8 * random_unit(12, D, seed=4) + labels.positives.repeat(3, 1))
    bounds = class_bounds(labels.positives, near_names, torch.arange(12) % 4)
    label_set = ready(labels, (["a"] * 4, WORDS))
    return evidence_of({"tins": label_set}, SoftWords(texts), ClassBoundsBySet({"tins": bounds}))


@pytest.fixture
def images(evidence: Evidence) -> Tensor:
    labels = evidence.labels("tins")
    centres = torch.cat([labels.positives[:2], labels.negatives[:2]])
    return unit(0.8 * random_unit(40, D, seed=3) + centres[torch.arange(40) % 4])


def opened(detector: TINS, evidence: Evidence) -> WordInversions:
    return cast(WordInversions, detector.open(evidence))


def text(word: int, v: Tensor) -> Tensor:
    return CONSTANTS[word].double() + v @ MATRIX.double()


def inverted_by_hand(d: TINS, strange: list[Tensor], prototypes: Tensor) -> list[Tensor]:
    """AdamW's rule as its paper has it, on the gradient of the joint loss; each image alone but for 1 / n."""
    matrix, results = MATRIX.double(), []
    for h in strange:
        costs = []
        for word in range(N):
            f = text(word, EMBEDDING[20 + word].double())
            f = f / f.norm()
            costs.append(1 - float(h @ f) + d.repulsion * sum(1 + float(f @ m) for m in prototypes) / len(prototypes))
        word = costs.index(min(costs))

        v = EMBEDDING[20 + word].double()
        first, second = torch.zeros(W).double(), torch.zeros(W).double()
        for step in range(1, d.steps + 1):
            f, g = text(word, v), torch.zeros(W).double()
            for weight, target in [(-1.0, h), *((d.repulsion / len(prototypes), m) for m in prototypes)]:
                g += weight / len(strange) * (matrix @ (target / f.norm() - (f @ target) * f / f.norm() ** 3))
            v = v * (1 - d.lr * d.weight_decay)
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
            v = v - d.lr * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)

        f = text(word, v)
        results.append(f / f.norm())
    return results


def by_hand(d: TINS, evidence: Evidence, images: Tensor, batch_size: int) -> tuple[list[float], list[float]]:
    """S of all images, and the gaps in the bank, one image and one label at a time."""
    labels, bounds = evidence.labels("tins"), evidence[ClassBoundsBySet].bounds["tins"]
    positives, words = labels.positives.double(), list(labels.negatives.double())
    bank: list[tuple[float, Tensor]] = []
    waiting: list[tuple[float, Tensor]] = []

    def share(h: Tensor) -> float:
        negatives = words + [text for _, text in bank]
        kept = len(negatives) - len(negatives) % d.groups
        order = list(range(kept))
        if d.permutation_seed is not None:
            order = torch.randperm(kept, generator=torch.Generator().manual_seed(d.permutation_seed)).tolist()

        size = kept // d.groups
        mass = sum(math.exp(SCALE * float(h @ z)) for z in positives) / len(positives)
        shares = []
        for g in range(d.groups):
            members = order[g * size : (g + 1) * size]
            others = sum(math.exp(SCALE * float(h @ negatives[i])) for i in members) / size
            shares.append(mass / (mass + others))
        return sum(shares) / len(shares)

    scores: list[float] = []
    for batch in images.double().split(batch_size):
        first = [share(h) for h in batch]
        strange = [h for h, s in zip(batch, first, strict=True) if s < d.threshold]
        accepted = []
        for f in inverted_by_hand(d, strange, bounds.prototypes):
            below = [float(b - f @ m) for m, b in zip(*bounds, strict=True)]
            if min(below) > 0:
                accepted.append((sum(below) / len(below), f.half().double()))

        if accepted:
            pool = sorted(bank + accepted, key=lambda entry: -entry[0])
            bank[:] = pool[: d.bank]
            if d.buffer:
                waiting += pool[d.bank :]
                if len(waiting) >= d.buffer:
                    better = sorted(waiting, key=lambda entry: -entry[0])[: len(waiting) // 2]
                    mixed = bank + better
                    order = torch.randperm(len(mixed), generator=torch.Generator().manual_seed(d.seed)).tolist()
                    bank[:] = [mixed[i] for i in order[: d.bank]]
                    waiting.clear()
        scores += [share(h) for h in batch] if accepted else first
    return scores, [gap for gap, _ in bank]


@pytest.mark.parametrize("batch_size", [1, 8, 40])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"groups": 1, "repulsion": 0.0},
        {"permutation_seed": None, "buffer": 0},
        {"bank": 100},
        {"steps": 0, "seed": 4},
    ],
)
def test_equals_a_slow_loop(evidence: Evidence, images: Tensor, batch_size: int, change: dict[str, Any]):
    detector = replace(DETECTOR, **change)
    scores, bank = by_hand(detector, evidence, images, batch_size)
    assert bank
    stream = opened(detector, evidence)
    log_odds = torch.cat([stream(batch) for batch in images.split(batch_size)])

    expected = torch.tensor(scores, dtype=torch.float64)
    torch.testing.assert_close(log_odds.sigmoid(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(log_odds, expected.logit(), atol=1e-3, rtol=0)
    torch.testing.assert_close(stream.gaps, torch.tensor(bank, dtype=torch.float64), atol=1e-5, rtol=0)


def test_where_nothing_is_foreign_it_is_the_static_score(evidence: Evidence, images: Tensor):
    labels = evidence.labels("tins")
    static = grouped_mean_log_odds(images, labels.positives, labels.negatives, SCALE, 2, 0)
    assert torch.equal(run(replace(DETECTOR, threshold=0.0), evidence, images, 40), static)

    bounds = evidence[ClassBoundsBySet].bounds["tins"]
    none_admissible = ClassBoundsBySet({"tins": bounds._replace(thresholds=torch.full((4,), -1.0).double())})
    elsewhere = evidence_of(evidence.label_sets, evidence[SoftWords], none_admissible)
    assert torch.equal(run(DETECTOR, elsewhere, images, 40), static)


def test_as_often_as_all_negatives_come_the_score_of_one_group_is_the_same(evidence: Evidence, images: Tensor):
    labels = evidence.labels("tins")
    once, twice = (
        grouped_mean_log_odds(images, labels.positives, labels.negatives.repeat(n, 1), SCALE, 1, 0) for n in (1, 2)
    )
    torch.testing.assert_close(once, twice, atol=1e-9, rtol=0)


def test_bank_and_buffer_are_bounded_and_admissible(evidence: Evidence, images: Tensor):
    stream, was_mixed = opened(DETECTOR, evidence), []
    for batch in images.split(4):
        stream(batch)
        assert len(stream.texts) == len(stream.gaps) <= 6
        assert len(stream.buffered) == len(stream.buffered_gaps) < 4
        in_order = torch.equal(stream.gaps, stream.gaps.sort(descending=True).values)
        was_mixed.append(not in_order)
    assert any(was_mixed)
    assert not all(was_mixed)

    mean, admissible = gaps(stream.texts.float(), stream.bounds)
    assert admissible.all()
    torch.testing.assert_close(mean, stream.gaps, atol=1e-3, rtol=0)  # float16's rounding


def test_without_steps_the_bank_holds_the_words_in_their_sentence(evidence: Evidence, images: Tensor):
    stream = opened(replace(DETECTOR, steps=0, bank=100), evidence)
    stream(images)
    sentences = texts(WORDS).own_features
    assert len(stream.texts)
    assert ((stream.texts.float() @ sentences.T).amax(dim=1) > 0.999).all()


def test_repulsion_keeps_texts_away_from_the_prototypes(evidence: Evidence, images: Tensor):
    free, repelled = (opened(replace(DETECTOR, repulsion=r), evidence) for r in (0.0, 1.0))
    mean = free.bounds.prototypes.mean(dim=0).float()
    assert (repelled.inverted(images) @ mean).mean() < (free.inverted(images) @ mean).mean()


def test_two_streams_share_nothing_and_no_global_state_is_touched(evidence: Evidence, images: Tensor):
    check_fresh_streams_agree(DETECTOR, evidence, images)
    assert not torch.equal(run(replace(DETECTOR, seed=1), evidence, images, 8), run(DETECTOR, evidence, images, 8))


def test_inference_mode_and_empty_batches_change_nothing(evidence: Evidence, images: Tensor):
    check_inference_mode_changes_nothing(DETECTOR, evidence, images)
    check_an_empty_batch_changes_nothing(DETECTOR, evidence, images)


def test_a_label_set_that_looked_at_no_images_is_refused(evidence: Evidence):
    label_sets = {**evidence.label_sets, "neglabel": evidence.label_sets["tins"]}
    with pytest.raises(SettingsError, match=r"'neglabel', which looks at no images.*TINSNegatives \(tins\)"):
        TINS(labels="neglabel").open(replace(evidence, label_sets=label_sets))


def test_it_needs_class_bounds_and_soft_words(evidence: Evidence):
    assert Inputs().lacking(TINS.required_inputs) == [ClassBoundsBySet, SoftWords]
    assert evidence.available.lacking(TINS.required_inputs) == []


@pytest.mark.parametrize("settings", [{"threshold": 1.1}, {"bank": 0}, {"steps": -1}, {"repulsion": -0.1}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]):
    with pytest.raises(SettingsError, match=f"TINS: {next(iter(settings))} is .*, expected "):
        TINS(**settings)
