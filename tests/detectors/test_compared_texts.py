"""What label sets of one corpus ask of it: answered from one product, and as if each had texts of its own."""

import pytest
import torch
from bare_evidence import evidence_of, ready
from random_features import random_unit
from torch import Tensor

from ood_lightning.detectors import compared_texts
from ood_lightning.detectors.compared_texts import ComparedTexts, CorpusProducts, OwnTexts
from ood_lightning.detectors.evidence import LabelFeatures, ReadyLabelSet, Texts
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.functional.one_product import compare

WORDS = random_unit(60, 8, seed=1)
IMAGES = random_unit(21, 8, seed=2)
MINED = {"clustermine": torch.tensor([40, 3, 17]), "posmine": torch.tensor([3, 59])}
SCALE = 30.0


def rest_of(rows: Tensor) -> Tensor:
    return torch.tensor([row for row in range(60) if row not in rows.tolist()])


def label_set(positives: ComparedTexts, negatives: ComparedTexts) -> ReadyLabelSet:
    bare = ready(LabelFeatures(WORDS, WORDS, SCALE))
    texts = Texts((), ())
    return ReadyLabelSet(bare.label_set, positives, negatives, SCALE, texts, "", bare.encode, bare.positives_under)


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of texts of each comparison that is computed."""
    sizes: list[int] = []

    def counting(features: Tensor, texts: Tensor, *args: object, **options: object) -> object:
        sizes.append(len(texts))
        return compare(features, texts, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(compared_texts, "compare", counting)
    return sizes


@pytest.mark.parametrize("sharpness", [1.0, 10.0])
def test_label_sets_of_one_corpus_are_scored_as_if_alone_from_one_product(products: list[int], sharpness: float):
    corpus = CorpusProducts(WORDS)
    shared = {name: label_set(corpus.rows(rows), corpus.rows(rest_of(rows))) for name, rows in MINED.items()}
    detectors = {name: LabelMass(labels=name, sharpness=sharpness) for name in MINED}
    scorers = {name: detector.bind(evidence_of(shared)) for name, detector in detectors.items()}
    nearest = shared["clustermine"].positives.nearest(), shared["clustermine"].negatives.nearest()

    for images in (IMAGES, IMAGES[:5].clone()):
        for name, rows in MINED.items():
            labels = LabelFeatures(WORDS[rows], WORDS[rest_of(rows)], SCALE)
            torch.testing.assert_close(scorers[name](images), detectors[name](images, labels), atol=1e-3, rtol=0)
            torch.testing.assert_close(shared[name].features.negatives, labels.negatives, atol=0, rtol=0)
        mined = MINED["clustermine"]
        assert torch.equal(nearest[0](images), (images @ WORDS[mined].T).argmax(dim=1))
        assert torch.equal(nearest[1](images), (images @ WORDS[rest_of(mined)].T).argmax(dim=1))
    assert products == [60, 60]


def test_what_is_asked_later_is_answered_too_and_equal_questions_are_one(products: list[int]):
    corpus = CorpusProducts(WORDS)
    side = corpus.rows(MINED["posmine"])
    first, again = side.log_mass(10.0), side.log_mass(10.0)
    mass = first(IMAGES)
    assert again(IMAGES) is mass

    other = side.log_mass(20.0)
    assert not torch.equal(other(IMAGES), mass)
    assert torch.equal(first(IMAGES), mass)
    assert products == [60, 60]


def test_another_batch_is_another_product_even_if_it_is_equal(products: list[int]):
    mass = CorpusProducts(WORDS).rows(torch.arange(9)).log_mass(10.0)
    assert torch.equal(mass(IMAGES.clone()), mass(IMAGES.clone()))
    assert len(products) == 2


@pytest.mark.parametrize("side", [OwnTexts(WORDS[:0]), CorpusProducts(WORDS).rows(torch.empty(0, dtype=torch.int64))])
def test_where_there_is_no_text_none_is_nearest(side: ComparedTexts):
    assert len(side) == 0
    assert side.features.shape == (0, 8)
    assert side.nearest()(IMAGES).tolist() == [-1] * 21


def test_texts_of_their_own_answer_alike():
    rows = torch.tensor([9, 4, 4, 33])
    sides: list[ComparedTexts] = [OwnTexts(WORDS[rows]), CorpusProducts(WORDS).rows(rows)]
    assert [len(side) for side in sides] == [4, 4]
    masses, nearest = zip(*((side.log_mass(10.0)(IMAGES), side.nearest()(IMAGES)) for side in sides), strict=True)
    torch.testing.assert_close(*masses, atol=1e-5, rtol=0)
    assert torch.equal(*nearest)
    assert 2 not in nearest[0]  # the second copy of a text is never the first of its equals
