"""AdaNeg against a slow float64 loop over images, labels and slots, and what must hold of its memory."""

import math
from dataclasses import replace

import pytest
import torch
from bare_evidence import evidence_of
from random_features import random_unit
from torch import Tensor

from ood_lightning.detectors.adaneg import AdaNeg, Proxies
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.image_memory import ImageMemory
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit

SCALE = 9.0
DETECTOR = AdaNeg(groups=3, images_per_label=2, permutation_seed=None)


def filled_slots(memory: ImageMemory) -> dict[int, int]:
    """Images kept, by label; labels without any are not listed."""
    return {row: len(kept) for row, kept in memory.entropies.items()}


@pytest.fixture
def labels() -> LabelFeatures:
    return LabelFeatures(random_unit(4, 8, seed=1), random_unit(13, 8, seed=2), SCALE)


@pytest.fixture
def images(labels: LabelFeatures) -> Tensor:
    """Near few of the texts, so that slots run full; some near none."""
    texts = torch.cat([labels.positives[:2], labels.negatives[:2]])
    pull = torch.linspace(0, 2, 60)[torch.randperm(60, generator=torch.Generator().manual_seed(4))]
    return unit(random_unit(60, 8, seed=3) + pull[:, None] * texts[torch.arange(60) % 4])


def run(detector: AdaNeg, labels: LabelFeatures, images: Tensor, batch_size: int) -> tuple[Tensor, Proxies]:
    stream = detector.open(evidence_of({"neglabel": labels}))
    assert isinstance(stream, Proxies)
    return torch.cat([stream(batch) for batch in images.split(batch_size)]), stream


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def normal(a: list[float]) -> list[float]:
    return [x / math.sqrt(dot(a, a)) for x in a]


def share(image: list[float], texts: list[list[float]], p: int, order: list[int], groups: int) -> float:
    """Mean over groups of the positives' share."""
    mass = [math.exp(SCALE * dot(image, text)) for text in texts]
    positive = sum(mass[:p])
    size = len(order) // groups
    negative = [sum(mass[p + i] for i in order[g * size : (g + 1) * size]) for g in range(groups)]
    return sum(positive / (positive + m) for m in negative) / groups


def entropy(image: list[float], texts: list[list[float]]) -> float:
    mass = [math.exp(SCALE * dot(image, text)) for text in texts]
    return -sum(m / sum(mass) * math.log(m / sum(mass)) for m in mass)


def proxy(d: AdaNeg, h: list[float], members: list[list[float]]) -> list[float]:
    """The unit mean of a label's slots, weighed by their similarity to the image h if the detector is adaptive."""
    weights = [math.exp(-d.beta * (1 - dot(h, f))) if d.sample_adaptive else 1.0 for f in members]
    return normal([sum(w * f[i] for w, f in zip(weights, members, strict=True)) for i in range(8)])


def by_hand(d: AdaNeg, labels: LabelFeatures, images: Tensor, batch_size: int) -> tuple[list[float], dict[int, int]]:
    """S itself, as the official code goes: slot by slot, with a pointer that starts at 1.

    Negatives that no group holds, the last ones, have slots as well.
    """
    p = len(labels.positives)
    kept = len(labels.negatives) - len(labels.negatives) % d.groups
    order = list(range(kept))
    if d.permutation_seed is not None:
        order = torch.randperm(kept, generator=torch.Generator().manual_seed(d.permutation_seed)).tolist()

    texts = torch.cat([labels.positives, labels.negatives]).double().tolist()
    memory = [[text] + [[0.0] * 8 for _ in range(d.images_per_label)] for text in texts]
    entropies = [[0.0] * (1 + d.images_per_label) for _ in texts]
    pointer = [1] * len(texts)
    last = d.images_per_label if d.spare_slot else d.images_per_label + 1

    scores = []
    for part in images.double().split(batch_size):
        batch = part.tolist()
        static = [share(h, texts, p, order, d.groups) for h in batch]

        for h, s in zip(batch, static, strict=True):
            if s > d.gamma + d.gap * (1 - d.gamma):
                rows = range(p)
            elif s < d.gamma - d.gap * d.gamma:
                rows = range(p, len(texts))
            else:
                continue

            row = max(rows, key=lambda j: dot(h, texts[j]))
            new = entropy(h, [texts[j] for j in rows])
            if pointer[row] == last:
                if not d.replacement:
                    continue
                worst = max(entropies[row])
                if new >= worst:
                    continue
                slot = entropies[row].index(worst)
                assert slot > 0
            else:
                slot, pointer[row] = pointer[row], pointer[row] + 1
            memory[row][slot], entropies[row][slot] = h, new

        for h, s in zip(batch, static, strict=True):
            proxies = [proxy(d, h, members) for members in memory]
            scores.append(share(h, proxies, p, order, d.groups) + d.weight * s)

    return scores, {j: n - 1 for j, n in enumerate(pointer) if n > 1}


@pytest.mark.parametrize("batch_size", [1, 8, 60])
@pytest.mark.parametrize("sample_adaptive", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"spare_slot": True},
        {"permutation_seed": 0, "beta": 5.0, "weight": 1.5},
        {"gap": 0.1, "images_per_label": 4},
        {"gamma": 0.3},
        {"gamma": 0.7, "gap": 0.4},
        {"replacement": False},
        {"groups": 5},  # of 13 negatives, the last three are in none
    ],
)
def test_equals_a_slow_loop(
    labels: LabelFeatures, images: Tensor, batch_size: int, sample_adaptive: bool, change: dict[str, float]
):
    detector = replace(DETECTOR, sample_adaptive=sample_adaptive, **change)
    scores, stream = run(detector, labels, images, batch_size)
    expected, filled = by_hand(detector, labels, images, batch_size)
    total = torch.tensor(expected, dtype=torch.float64) / (1 + detector.weight)
    torch.testing.assert_close(scores.sigmoid(), total, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores, total.logit(), atol=1e-4, rtol=1e-4)
    assert filled_slots(stream.memory) == filled
    assert max(filled.values()) == detector.images_per_label - detector.spare_slot  # some labels ran full


@pytest.mark.parametrize("sample_adaptive", [False, True])
def test_with_an_empty_memory_the_score_ranks_as_neglabel(labels: LabelFeatures, images: Tensor, sample_adaptive: bool):
    scores, stream = run(replace(DETECTOR, gap=1.0, sample_adaptive=sample_adaptive), labels, images, 7)
    assert filled_slots(stream.memory) == {}
    assert torch.equal(stream.memory.proxies, stream.memory.texts)
    static = NegLabel(groups=3, permutation_seed=None)(images, labels)  # S = 1.1 S_nl
    torch.testing.assert_close(scores, static, atol=1e-4, rtol=0)


def test_unsure_images_leave_no_trace(labels: LabelFeatures, images: Tensor):
    static = NegLabel(groups=3, permutation_seed=None)(images, labels).sigmoid()
    unsure = images[(static > 0.25) & (static < 0.75)]
    assert 0 < len(unsure) < len(images)
    assert filled_slots(run(DETECTOR, labels, unsure, 1)[1].memory) == {}
    sure = images[(static < 0.25) | (static > 0.75)]
    roomy = run(replace(DETECTOR, images_per_label=99), labels, sure, 1)[1]
    assert sum(filled_slots(roomy.memory).values()) == len(sure)


def test_confident_id_images_go_to_positives_and_ood_images_to_negatives(labels: LabelFeatures):
    # one group: the share averaged over three is 2/3 where a single negative fits
    pair = torch.cat([labels.positives[1:2], labels.negatives[5:6]])
    _, stream = run(replace(DETECTOR, groups=1), labels, pair, 2)
    assert filled_slots(stream.memory) == {1: 1, 4 + 5: 1}


def test_the_state_depends_on_the_order_and_scores_on_the_batch(labels: LabelFeatures, images: Tensor):
    single, alone = run(DETECTOR, labels, images, 1)
    whole, together = run(DETECTOR, labels, images, 60)
    assert torch.equal(alone.memory.images, together.memory.images)  # filed one by one whatever the batch
    assert (single - whole).abs().max() > 1e-3
    assert not torch.equal(run(DETECTOR, labels, images.flip(0), 1)[0].flip(0), single)


def test_two_streams_share_nothing(labels: LabelFeatures, images: Tensor):
    texts = labels.positives.clone()
    first, _ = run(DETECTOR, labels, images, 8)
    assert torch.equal(run(DETECTOR, labels, images, 8)[0], first)
    assert torch.equal(labels.positives, texts)


@pytest.mark.parametrize("adaptive", [False, True])
def test_an_empty_batch_changes_nothing(adaptive: bool, labels: LabelFeatures, images: Tensor):
    stream, other = (
        replace(DETECTOR, sample_adaptive=adaptive).open(evidence_of({"neglabel": labels})) for _ in range(2)
    )
    for batch in images.split(8):
        assert stream(torch.empty(0, 8)).shape == (0,)
        assert torch.equal(stream(batch), other(batch))


def test_a_weight_of_zero_leaves_the_adaptive_share(labels: LabelFeatures, images: Tensor):
    scores, _ = run(replace(DETECTOR, weight=0.0), labels, images, 8)
    expected, _ = by_hand(replace(DETECTOR, weight=0.0), labels, images, 8)
    torch.testing.assert_close(scores.sigmoid(), torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=0)


def test_scores_do_not_saturate():
    labels = LabelFeatures(torch.eye(8)[:3], torch.eye(8)[3:6], 100.0)  # log-odds near 100: S rounds to 1.1
    scores, _ = run(AdaNeg(groups=1), labels, unit(labels.positives[:1] + 0.05 * random_unit(6, 8, seed=5)), 1)
    assert len(scores.sigmoid().unique()) == 1
    assert len(scores.unique()) == 6


def test_a_full_label_gives_up_its_least_sure_image_and_never_its_text():
    memory = ImageMemory(torch.eye(4)[:2], size=2)
    images = random_unit(5, 4, seed=0)
    memory.add(images, torch.zeros(5, dtype=torch.int64), torch.tensor([0.5, 0.9, 0.9, 0.7, 0.6]))
    assert filled_slots(memory) == {0: 2}
    torch.testing.assert_close(memory.images[0], images[[0, 4]])  # 0.9 gave way to 0.7, which gave way to 0.6
    torch.testing.assert_close(memory.proxies[0], unit(memory.texts[0] + images[0] + images[4]))
    assert torch.equal(memory.proxies[1], memory.texts[1])
    memory.add(images[:2], torch.zeros(2, dtype=torch.int64), torch.zeros(2))  # as sure as a text
    assert torch.equal(memory.images[0], images[[1, 0]])
    assert torch.equal(memory.texts, torch.eye(4)[:2])


def test_the_memory_equals_a_loop_that_breaks_ties_as_stated():
    """Three entropies only, so that most images tie: the first of the largest gives way, and only to a smaller one."""
    draw = torch.Generator().manual_seed(6)
    images, rows = random_unit(80, 4, seed=7), torch.randint(0, 3, (80,), generator=draw)
    entropies = torch.randint(1, 4, (80,), generator=draw) / 4
    memory = ImageMemory(torch.eye(4)[:3], size=3)
    kept: dict[int, list[int]] = {0: [], 1: [], 2: []}  # images in the slots of each label

    for start in (0, 5, 6, 40):
        batch = slice(start, {0: 5, 5: 6, 6: 40, 40: 80}[start])
        memory.add(images[batch], rows[batch], entropies[batch])
        for image in range(batch.start, batch.stop):
            slots_of_label = kept[int(rows[image])]
            if len(slots_of_label) < 3:
                slots_of_label.append(image)
                continue
            worst = max(range(3), key=lambda slot, held=slots_of_label: (float(entropies[held[slot]]), -slot))
            if entropies[image] < entropies[slots_of_label[worst]]:
                slots_of_label[worst] = image

        for label, members in kept.items():
            assert torch.equal(memory.images[label, : len(members)], images[members])


@pytest.mark.parametrize("beta", [None, 5.5])
@pytest.mark.parametrize("n_filled", [0, 1, 3, 4, 7])
def test_cosines_to_the_proxies_are_the_same_however_many_labels_have_an_image(n_filled: int, beta: float | None):
    memory, queries = ImageMemory(random_unit(7, 5, seed=0), size=2), random_unit(6, 5, seed=1)
    memory.add(random_unit(n_filled, 5, seed=2), torch.randperm(7)[:n_filled], torch.zeros(n_filled))

    stored = torch.cat([memory.texts[:, None], memory.images], dim=1).double()  # (V, S, D)
    similarity = torch.einsum("bd,vsd->bvs", queries.double(), stored)
    weights = torch.ones_like(similarity) if beta is None else (-beta * (1 - similarity)).exp()
    proxies = unit(torch.einsum("bvs,vsd->bvd", weights, stored))

    to_proxies = memory.cosines(queries, queries @ memory.texts.T, beta)
    expected = torch.einsum("bd,bvd->bv", queries.double(), proxies)
    torch.testing.assert_close(to_proxies.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"images_per_label": 0}, "images_per_label is 0, expected 1 to 10,000"),
        ({"images_per_label": 1, "spare_slot": True}, "spare_slot leaves one empty: expected 2 or more"),
        ({"gamma": 1.0}, "gamma is 1.0, expected 0 to 1, without 0 and 1"),
        ({"gap": 2.0}, "gap is 2.0, expected 0 to 1"),
        ({"weight": -0.1}, "weight is -0.1, expected a finite number, at least 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], words: str):
    with pytest.raises(SettingsError, match=words):
        AdaNeg(**settings)  # type: ignore[arg-type]


def test_without_replacement_the_first_images_of_a_label_stay():
    memory = ImageMemory(torch.eye(4)[:1], size=2, replacement=False)
    images = random_unit(4, 4, seed=0)
    memory.add(images, torch.zeros(4, dtype=torch.int64), torch.tensor([0.9, 0.8, 0.1, 0.0]))
    assert torch.equal(memory.images[0], images[:2])


def test_an_image_nearest_to_a_negative_of_no_group_is_kept_and_changes_no_score(labels: LabelFeatures):
    # three groups of 13 negatives leave the last one out
    last, other = labels.negatives[12:], labels.negatives[:1]
    _, stream = run(replace(DETECTOR, gap=0.0), labels, last, 1)
    assert filled_slots(stream.memory) == {4 + 12: 1}

    proxies = stream.memory.proxies.clone()
    scores = stream(other)
    stream.memory.proxies = proxies
    torch.testing.assert_close(scores, run(replace(DETECTOR, gap=0.0), labels, other, 1)[0], atol=1e-6, rtol=0)


def test_half_is_near_the_score_without_replacement_and_in_steps_of_float16(labels: LabelFeatures, images: Tensor):
    exact, _ = run(replace(DETECTOR, replacement=False), labels, images, 8)
    half, stream = run(replace(DETECTOR, half=True), labels, images, 8)
    assert half.equal(half.half().double())
    torch.testing.assert_close(half, exact.sigmoid() * (1 + DETECTOR.weight), atol=5e-3, rtol=0)
    assert max(filled_slots(stream.memory).values()) == DETECTOR.images_per_label


def test_an_image_like_a_positive_outscores_one_like_a_negative(labels: LabelFeatures):
    positive, negative = run(DETECTOR, labels, torch.stack([labels.positives[0], labels.negatives[0]]), 1)[0]
    assert positive > negative
