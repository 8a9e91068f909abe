"""TINS's label set: the first images of a class, adjectives in front, and mined words in the names' place."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import class_bounds, first_shots
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.interneg import BoundedNegatives, InterNegNegatives
from ood_lightning.label_sets.tins import TINSNegatives
from ood_lightning.label_sets.training_images import IDTrainingSet, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary

WORDS = ("red", "green", *(f"word{i}" for i in range(40)))
PARTS = tuple("adj" if i % 3 == 0 else "noun" for i in range(42))
LABELS = torch.arange(30) % 2


def vocabulary() -> Vocabulary:
    """42 words at random; the first two are red and green."""
    bank = SimpleNamespace(encoder=SimpleNamespace(name="tiny", fingerprint="f" * 16))
    words = Words("some", WORDS, "here", cast(Any, PARTS))
    return Vocabulary(words, random_unit(42, 8, seed=0), Prompts(("{}",), adjectives=("so {}",)), cast(Any, bank))


def images(labels: Tensor = LABELS) -> Inputs:
    """30 images of red and green around their names."""
    image = unit(random_unit(42, 8, seed=0)[torch.arange(30) % 2] + 0.3 * random_unit(30, 8, seed=1)).half()
    features = Features("train", image, labels, [str(i) for i in range(30)], [])
    return inputs_of(FeatureSet(cast(Any, None), features), torch.device("cpu"))


def stored(path: Path, supervision: list[str]) -> str:
    encoder = {"name": "tiny", "fingerprint": "f" * 16}
    recipe = {"method": "ClusterMine", "encoder": encoder, "supervision": supervision}
    LabelSet((Positive("green", 3, 12), Positive("word6", 1, 4)), None, recipe).write(path)
    return str(path)


@pytest.fixture(autouse=True)
def _names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names.txt").write_text("word2\nword3\n")  # nouns
    monkeypatch.chdir(tmp_path)


def test_the_first_images_of_each_class_set_the_bounds():
    known = images()
    image = known[IDTrainingSet].images.features.image
    rows = first_shots(LABELS, 3)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5]
    expected = class_bounds(vocabulary().features[[4, 5]], unit(image[rows].float()), LABELS[rows])
    bounds = TINSNegatives("names.txt", shots=3).class_bounds(vocabulary(), known)
    torch.testing.assert_close(bounds.thresholds, expected.thresholds)


def test_the_same_words_as_internegs_with_adjectives_in_front():
    ours, theirs = (
        kind("names.txt", count=9).make(vocabulary(), images()) for kind in (TINSNegatives, InterNegNegatives)
    )
    assert sorted(ours.negatives or ()) == sorted(theirs.negatives or ())
    is_adjective = [PARTS[WORDS.index(word)] == "adj" for word in ours.negatives or ()]
    assert is_adjective == sorted(is_adjective, reverse=True)
    assert 0 < sum(is_adjective) < 9
    assert ours.recipe["method"] == "TINS"
    assert "seed" not in ours.recipe

    # with templates of their own for adjectives, the recipe says which words take them
    assert ours.recipe["adjectives"]["negatives"] == [word for word in ours.negatives or () if word in ADJECTIVES]


ADJECTIVES = {word for word, part in zip(WORDS, PARTS, strict=True) if part == "adj"}


@pytest.mark.parametrize("kind", [TINSNegatives, InterNegNegatives])
def test_mined_words_take_the_place_of_names(kind: type[BoundedNegatives], tmp_path: Path):
    """Each image belongs to its nearest mined word, so nobody names or labels anything."""
    mined = stored(tmp_path / "labels.json", ["id_images"])
    label_set = kind(mined, count=5, pseudo_labels=True).make(vocabulary(), images())
    assert label_set.words == ["green", "word6"]
    assert label_set.supervision == ("id_images",)
    assert label_set.positives[0].images == 12
    assert not {"green", "word6"} & set(label_set.negatives or ())
    assert label_set.recipe["positives"]["method"] == "ClusterMine"

    with pytest.raises(LabelSetError, match=r"holds mined words and no names.*set pseudo_labels: true"):
        kind(mined, count=5).make(vocabulary(), images())


def test_names_within_a_label_set_keep_their_supervision(tmp_path: Path):
    named = stored(tmp_path / "labels.json", ["id_names"])
    label_set = TINSNegatives(named, count=5).make(vocabulary(), images())
    assert label_set.supervision == ("id_images", "id_labels", "id_names")
