"""Label sets of a run: from names, from names of both sides, from mined negatives."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from conftest import MakeSet
from torch.nn.functional import normalize

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.errors import LabelSetError
from ood_lightning.modules.label_sources import CandidateNames, IDNames, Lexicon, MinedNegatives, label_features

WORDS = ("red", "green", "blue", "grey", "dog", "cat")


@pytest.fixture
def lexicon() -> Lexicon:
    features = normalize(torch.randn(len(WORDS), 8, generator=torch.Generator().manual_seed(0)), dim=1)
    encoder = SimpleNamespace(name="tiny", fingerprint="f" * 16)
    bank = SimpleNamespace(encoder=encoder, features=lambda texts, prompts, what: torch.ones(len(texts), 8) / 8**0.5)
    return Lexicon(Words("six", WORDS, "here"), features, Prompts(("{}",)), cast(Any, bank))


def test_names_come_in_class_order_and_keep_duplicates(lexicon: Lexicon, tmp_path: Path):
    (tmp_path / "names.txt").write_text("green\nred\n\ngreen\n")
    labels = IDNames("names.txt").label_set(lexicon)
    assert labels.words == ["green", "red", "green"]
    assert labels.negatives == ()
    assert labels.supervision == ("id_names",)


def test_candidate_names_are_those_of_the_ood_sets_without_the_id_names(
    lexicon: Lexicon, tmp_path: Path, make_set: MakeSet
):
    known = make_set(tmp_path, "known", colours=("red", "green"), shards=(2,))
    foreign = make_set(tmp_path, "foreign", role="ood", colours=("blue", "grey"), shards=(2,))
    (tmp_path / "more.txt").write_text("Red\ndog\nblue\n")
    labels = CandidateNames(str(known), [str(foreign), "more.txt"]).label_set(lexicon)
    assert labels.words == ["red", "green"]
    assert labels.negatives == ("blue", "grey", "dog")
    assert labels.supervision == ("id_names", "ood_names")
    found = label_features(labels, lexicon, 10.0, torch.device("cpu"))
    assert found.negatives.equal(lexicon.features[[2, 3, 4]])


def test_candidates_that_are_all_id_names_are_refused(lexicon: Lexicon, tmp_path: Path):
    (tmp_path / "names.txt").write_text("red\n")
    (tmp_path / "same.txt").write_text("RED\n")
    with pytest.raises(LabelSetError, match="every candidate is an ID name"):
        CandidateNames("names.txt", ["same.txt"]).label_set(lexicon)


def test_mined_negatives_are_the_words_least_similar_to_the_names(lexicon: Lexicon, tmp_path: Path):
    (tmp_path / "names.txt").write_text("red\n")
    labels = MinedNegatives("names.txt", count=3).label_set(lexicon)
    cosines = lexicon.features @ lexicon.features[0]
    nearest_last = sorted(range(1, 6), key=lambda i: float(cosines[i]))
    assert labels.negatives == tuple(WORDS[i] for i in nearest_last[:3])


def test_a_file_without_names_is_refused(lexicon: Lexicon, tmp_path: Path):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(LabelSetError, match="holds no names"):
        IDNames("empty.txt").label_set(lexicon)
