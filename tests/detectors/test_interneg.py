"""InterNeg against a slow loop with the gradients by hand, and what must hold of its bank."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from bare_evidence import evidence_of
from random_features import random_unit
from stream_checks import (
    check_an_empty_batch_changes_nothing,
    check_fresh_streams_agree,
    check_inference_mode_changes_nothing,
    run,
)
from torch import Tensor

from ood_lightning.detectors.evidence import ClassBoundsBySet, Evidence, Inputs, LabelFeatures, SoftTokens
from ood_lightning.detectors.interneg import InterNeg, Inversions, invert
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.soft_tokens import SoftTokenTemplates
from ood_lightning.errors import SettingsError
from ood_lightning.functional.intermodal import class_bounds, gaps
from ood_lightning.functional.similarity import unit

SCALE, D, W = 9.0, 8, 5
DETECTOR = InterNeg(groups=2, bank=6, threshold=0.4, lr=0.05)


@dataclass
class Linear:
    """A text tower that one can differentiate by hand: a constant of the template, plus the vector times a matrix."""

    matrix: Tensor
    constants: Tensor

    @property
    def width(self) -> int:
        return len(self.matrix)

    def __len__(self) -> int:
        return len(self.constants)

    def fill(self, rows: Tensor, vectors: Tensor) -> Tensor:
        return self.constants[rows] + vectors @ self.matrix


TEMPLATES = Linear(0.5 * random_unit(W, D, seed=11), 0.1 * random_unit(3, D, seed=12))


@pytest.fixture
def evidence() -> Evidence:
    labels = LabelFeatures(random_unit(4, D, seed=1), random_unit(13, D, seed=2), SCALE)
    bounds = class_bounds(
        labels.positives, unit(0.8 * random_unit(12, D, seed=4) + labels.positives.repeat(3, 1)), torch.arange(12) % 4
    )
    return evidence_of({"interneg": labels}, SoftTokens(cast(Any, TEMPLATES)), ClassBoundsBySet({"interneg": bounds}))


@pytest.fixture
def images(evidence: Evidence) -> Tensor:
    labels = evidence.labels("interneg")
    texts = torch.cat([labels.positives[:2], labels.negatives[:2]])
    return unit(0.8 * random_unit(40, D, seed=3) + texts[torch.arange(40) % 4])


def adamw(d: InterNeg, start: Tensor, gradients: Any) -> Tensor:
    """AdamW's rule as its paper has it; `gradients(step, v)` returns the gradient at the vector v."""
    v, m, s = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, d.steps + 1):
        g = gradients(step - 1, v)
        v = v * (1 - d.lr * d.weight_decay)
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        v = v - d.lr * (m / (1 - 0.9**step)) / ((s / (1 - 0.999**step)).sqrt() + 1e-8)
    return v


def inverted_by_hand(d: InterNeg, strange: Tensor, generator: torch.Generator) -> list[Tensor]:
    start = 0.02 * torch.randn(len(strange), W, generator=generator)
    rows = [torch.randint(3, (len(strange),), generator=generator).tolist() for _ in range(d.steps)]
    constants, matrix = TEMPLATES.constants.double(), TEMPLATES.matrix.double()

    texts = []
    for i, h in enumerate(strange.double()):

        def gradient(step: int, v: Tensor, i: int = i, h: Tensor = h) -> Tensor:
            f = constants[rows[step][i]] + v @ matrix
            return -matrix @ (h / f.norm() - (f @ h) * f / f.norm() ** 3)

        v = adamw(d, start[i].double(), gradient)
        f = constants[rows[-1][i]] + v @ matrix
        texts.append(f / f.norm())
    return texts


def by_hand(d: InterNeg, evidence: Evidence, images: Tensor, batch_size: int) -> tuple[list[float], list[float]]:
    """S of all images, and the gaps in the bank, one image and one label at a time."""
    labels, bounds = evidence.labels("interneg"), evidence[ClassBoundsBySet].bounds["interneg"]
    positives, words = labels.positives.double(), list(labels.negatives.double())
    generator = torch.Generator().manual_seed(d.seed)
    bank: list[tuple[float, Tensor]] = []

    def share(h: Tensor) -> float:
        negatives = words + [text for _, text in bank]
        kept = len(negatives) - len(negatives) % d.groups
        order = list(range(kept))
        if d.permutation_seed is not None:
            order = torch.randperm(kept, generator=torch.Generator().manual_seed(d.permutation_seed)).tolist()

        size = kept // d.groups
        mass = sum(math.exp(SCALE * float(h @ z)) for z in positives)
        shares = []
        for g in range(d.groups):
            others = sum(math.exp(SCALE * float(h @ negatives[i])) for i in order[g * size : (g + 1) * size])
            shares.append(mass / (mass + others))
        return sum(shares) / len(shares)

    scores: list[float] = []
    for batch in images.double().split(batch_size):
        strange = [h for h in batch if share(h) < d.threshold]
        if strange:
            for text in inverted_by_hand(d, torch.stack(strange), generator):
                below = [float(b - text @ m) for m, b in zip(*bounds, strict=True)]
                if min(below) > 0:
                    bank.append((sum(below) / len(below), text))
            bank = sorted(bank, key=lambda entry: -entry[0])[: d.bank]
        scores += [share(h) for h in batch]
    return scores, [gap for gap, _ in bank]


@pytest.mark.parametrize("batch_size", [1, 8, 40])
@pytest.mark.parametrize(
    "change", [{}, {"groups": 1}, {"permutation_seed": None, "bank": 100}, {"steps": 1, "seed": 4}]
)
def test_equals_a_slow_loop(evidence: Evidence, images: Tensor, batch_size: int, change: dict[str, Any]):
    detector = replace(DETECTOR, **change)
    scores, bank = by_hand(detector, evidence, images, batch_size)
    assert bank
    stream = cast(Inversions, detector.open(evidence))
    log_odds = torch.cat([stream(batch) for batch in images.split(batch_size)])
    expected = torch.tensor(scores, dtype=torch.float64)
    torch.testing.assert_close(log_odds.sigmoid(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(log_odds, expected.logit(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stream.gaps, torch.tensor(bank, dtype=torch.float64), atol=1e-5, rtol=0)


def test_inversion_through_a_real_tower_equals_adamw_on_finite_differences(tiny_model: Path):
    """In float64, with the tower's own forward at full context and the embedding put in by a hook."""
    encoder = OpenClip(f"local-dir:{tiny_model}")
    encoder.load(torch.device("cpu"))
    model, _, tokenizer = encoder._towers
    texts = ["a photo of a $ .", "the $", "a $ in a video game"]
    images, settings = random_unit(3, 16, seed=5), InterNeg(steps=3)
    inverted = invert(
        images, SoftTokenTemplates(texts, encoder.soft_tower()), settings, torch.Generator().manual_seed(2)
    )

    model.double()
    generator = torch.Generator().manual_seed(2)
    start = 0.02 * torch.randn(3, 16, generator=generator)
    rows = [torch.randint(3, (3,), generator=generator).tolist() for _ in range(3)]
    tokens = tokenizer(texts)

    def text(row: int, v: Tensor) -> Tensor:
        def put_in(module: Any, arguments: Any, embedded: Tensor) -> Tensor:
            changed = embedded.clone()
            changed[0, tokens[row].tolist().index(int(tokenizer(["$"])[0, 1]))] = v
            return changed

        hook = model.token_embedding.register_forward_hook(put_in)
        with torch.no_grad():
            feature = model.encode_text(tokens[row : row + 1])[0]
        hook.remove()
        return cast(Tensor, feature / feature.norm())

    for i, h in enumerate(images.double()):

        def gradient(step: int, v: Tensor, i: int = i, h: Tensor = h) -> Tensor:
            moves, row = 1e-5 * torch.eye(16, dtype=torch.float64), rows[step][i]
            return torch.stack([(text(row, v - move) - text(row, v + move)) @ h / 2e-5 for move in moves])

        expected = text(rows[-1][i], adamw(settings, start[i].double(), gradient))
        torch.testing.assert_close(inverted[i].double(), expected, atol=2e-4, rtol=0)
        assert float(expected @ h) > float(text(rows[-1][i], start[i].double()) @ h)  # it went towards the image


def test_with_an_empty_bank_it_is_neglabel(evidence: Evidence, images: Tensor):
    scores = run(replace(DETECTOR, threshold=0.0), evidence, images, 8)
    assert torch.equal(scores, NegLabel(groups=2)(images, evidence.labels("interneg")))
    unreachable = evidence[ClassBoundsBySet].bounds["interneg"]._replace(thresholds=torch.full((4,), -1.0))
    none_admissible = ClassBoundsBySet({"interneg": unreachable})
    elsewhere = evidence_of(evidence.label_sets, evidence[SoftTokens], none_admissible)
    assert torch.equal(run(DETECTOR, elsewhere, images, 8), scores)


def test_with_threshold_0_no_image_is_inverted_even_where_its_share_underflows_to_0(evidence: Evidence):
    like_negatives = evidence.labels("interneg").negatives
    sharp = replace(DETECTOR, threshold=0.0, sharpness=300.0)
    stream = cast(Inversions, sharp.open(evidence))
    assert stream(like_negatives).sigmoid().min() == 0
    assert len(stream.texts) == 0


def test_the_bank_is_bounded_sorted_and_admissible(evidence: Evidence, images: Tensor):
    stream = cast(Inversions, DETECTOR.open(evidence))
    assert len(stream.texts) == 0
    for batch in images.split(4):
        stream(batch)
        assert len(stream.texts) == len(stream.gaps) <= 6
    assert len(stream.texts) == 6

    mean, admissible = gaps(stream.texts, stream.bounds)
    assert admissible.all()
    assert torch.equal(stream.gaps, stream.gaps.sort(descending=True).values)
    torch.testing.assert_close(mean, stream.gaps, atol=1e-9, rtol=0)
    torch.testing.assert_close(stream.texts.norm(dim=1), torch.ones(6), atol=1e-6, rtol=0)


def test_a_foreign_image_influences_its_own_score(evidence: Evidence, images: Tensor):
    static = run(replace(DETECTOR, threshold=0.0), evidence, images, 40)
    scores = run(replace(DETECTOR, groups=1, bank=100), evidence, images, 40)
    plain = run(replace(DETECTOR, groups=1, threshold=0.0), evidence, images, 40)
    strange = static.sigmoid() < 0.2
    assert strange.any()
    assert (scores <= plain).all()  # more negatives, less share
    assert (scores[strange] < plain[strange] - 1e-3).any()


def test_the_seed_decides_and_two_streams_share_nothing(evidence: Evidence, images: Tensor):
    check_fresh_streams_agree(DETECTOR, evidence, images)
    assert not torch.equal(run(replace(DETECTOR, seed=1), evidence, images, 8), run(DETECTOR, evidence, images, 8))


def test_scores_depend_on_the_order_of_the_stream(evidence: Evidence, images: Tensor):
    backwards = run(DETECTOR, evidence, images.flip(0), 8).flip(0)
    assert not torch.allclose(backwards, run(DETECTOR, evidence, images, 8), atol=1e-3)


def test_inference_mode_and_empty_batches_change_nothing(evidence: Evidence, images: Tensor):
    check_inference_mode_changes_nothing(DETECTOR, evidence, images)
    check_an_empty_batch_changes_nothing(DETECTOR, evidence, images)


def test_a_label_set_that_looked_at_no_images_is_refused(evidence: Evidence):
    label_sets = {**evidence.label_sets, "neglabel": evidence.label_sets["interneg"]}
    with pytest.raises(SettingsError, match=r"'neglabel', which looks at no images.*InterNegNegatives \(interneg\)"):
        InterNeg(labels="neglabel").open(replace(evidence, label_sets=label_sets))


def test_it_needs_class_bounds_and_soft_tokens(evidence: Evidence):
    assert Inputs().lacking(InterNeg.required_inputs) == [ClassBoundsBySet, SoftTokens]
    assert evidence.available.lacking(InterNeg.required_inputs) == []


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.1}, {"bank": 0}, {"steps": 0}, {"lr": 0.0}, {"weight_decay": -1.0}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]):
    with pytest.raises(SettingsError, match=f"InterNeg: {next(iter(settings))} is .*, expected "):
        InterNeg(**settings)
