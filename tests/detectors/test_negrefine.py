"""NegRefine: batches equal single images, pair texts are encoded once, and the score is what the paper says."""

import math
from collections.abc import Sequence

import pytest
import torch
from bare_evidence import evidence_of, ready
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.detectors.negrefine import NegRefine, PairTexts

POSITIVES, NEGATIVES = ["cat", "dog", "cow"], ["car", "sky", "rock", "sand", "wind", "lamp"]


class Encoder:
    """Random but fixed features of texts, and a list of the texts that were encoded."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.encoded += texts
        seeds = [sum(map(ord, text)) for text in texts]
        return normalize(
            torch.stack([torch.randn(8, generator=torch.Generator().manual_seed(s)) for s in seeds]), dim=1
        )


@pytest.fixture
def encode() -> Encoder:
    return Encoder()


@pytest.fixture
def evidence(encode: Encoder) -> Evidence:
    labels = LabelFeatures(Encoder()(POSITIVES), Encoder()(NEGATIVES), 10.0)
    return evidence_of({"neglabel": ready(labels, (POSITIVES, NEGATIVES), encode=encode)})


@pytest.fixture
def images() -> Tensor:
    return normalize(torch.randn(9, 8, generator=torch.Generator().manual_seed(3)), dim=1)


def _by_hand(h: Tensor, labels: LabelFeatures, k: int, alpha: float) -> float:
    h, text = h.double(), Encoder()
    nearest = [sorted(range(len(side)), key=lambda i: -float(h @ side[i].double()))[:k] for side in labels[:2]]

    mass = [[math.exp(10 * float(h @ z.double())) for z in side] for side in labels[:2]]
    groups = [mass[1][:3], mass[1][3:]]
    share = sum(sum(mass[0]) / (sum(mass[0]) + sum(group)) for group in groups) / 2

    matches = []
    for i in nearest[0]:
        for j in nearest[1]:
            joint = float(h @ text([f"{POSITIVES[i]} and {NEGATIVES[j]}"])[0].double())
            matches.append(1 / (1 + math.exp(-10 * (joint - float(h @ labels.negatives[j].double())))))
    return share + alpha * max(matches)


def test_equals_a_loop_over_single_images(evidence: Evidence, images: Tensor):
    detector = NegRefine(groups=2, permutation_seed=None, k=2, alpha=2.0)
    expected = [_by_hand(h, evidence.labels("neglabel"), 2, 2.0) for h in images]
    torch.testing.assert_close(detector.bind(evidence)(images), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("kept", [1, 4, 1000])
def test_a_batch_equals_one_image_at_a_time_whatever_is_cached(evidence: Evidence, images: Tensor, kept: int):
    detector = NegRefine(groups=2, k=2, cached_pairs=kept)
    score = detector.bind(evidence)
    single = torch.cat([detector.bind(evidence)(h[None]) for h in images])
    torch.testing.assert_close(torch.cat([score(images[:5]), score(images[5:])]), single)


def test_every_pair_text_is_encoded_once(evidence: Evidence, encode: Encoder, images: Tensor):
    score = NegRefine(groups=2, k=3).bind(evidence)
    score(images)
    n_encoded = len(encode.encoded)
    assert n_encoded == len(set(encode.encoded)) <= len(POSITIVES) * len(NEGATIVES)
    score(images)
    assert len(encode.encoded) == n_encoded


def test_the_store_drops_the_least_recently_used_pairs(encode: Encoder):
    pairs = PairTexts(POSITIVES, NEGATIVES, encode, capacity=2)
    one, two, three = (torch.tensor([[i]]) for i in range(3))
    for negative in (one, two, one, three):  # 'cat and sky' is the one not used for longest
        pairs.features(one, negative)
    assert len(pairs) == 2
    encode.encoded.clear()
    pairs.features(one, one)
    assert encode.encoded == []
    pairs.features(one, two)
    assert encode.encoded == ["cat and sky"]


def test_fewer_positives_than_k_give_fewer_captions(evidence: Evidence, encode: Encoder, images: Tensor):
    NegRefine(groups=2, k=5).bind(evidence)(images[:1])
    assert len(encode.encoded) == 3 * 5
