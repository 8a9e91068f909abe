"""Label sets of a run: from names, from names of both sides, from mined negatives."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from shard_files import MakeSet
from torch.nn.functional import normalize

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.errors import LabelSetError, SettingsError
from ood_lightning.label_sets.official_negatives import CSPNegatives, NegLabelNegatives
from ood_lightning.label_sets.ready import label_features, texts_of
from ood_lightning.label_sets.sources import CandidateNames, CLIPScopeNegatives, IDNames, MinedNegatives, Stored
from ood_lightning.label_sets.vocabulary import Vocabulary

WORDS = ("red", "green", "blue", "grey", "dog", "cat")


@pytest.fixture
def vocabulary() -> Vocabulary:
    features = normalize(torch.randn(len(WORDS), 8, generator=torch.Generator().manual_seed(0)), dim=1)
    encoder = SimpleNamespace(name="tiny", fingerprint="f" * 16, logit_scale=10.0)
    bank = SimpleNamespace(
        encoder=encoder, logit_scale=10.0, features=lambda texts, prompts, what: torch.ones(len(texts), 8) / 8**0.5
    )
    return Vocabulary(Words("six", WORDS, "here"), features, Prompts(("{}",)), cast(Any, bank))


def test_names_come_in_class_order_and_keep_duplicates(vocabulary: Vocabulary, tmp_path: Path):
    (tmp_path / "names.txt").write_text("green\nred\n\ngreen\n")
    labels = IDNames("names.txt").make(vocabulary, Inputs())
    assert labels.words == ["green", "red", "green"]
    assert labels.negatives == ()
    assert labels.supervision == ("id_names",)


def test_candidate_names_are_those_of_the_ood_sets_without_the_id_names(
    vocabulary: Vocabulary, tmp_path: Path, make_set: MakeSet
):
    known = make_set(tmp_path, "known", colours=("red", "green"), shards=(2,))
    foreign = make_set(tmp_path, "foreign", role="ood", colours=("blue", "grey"), shards=(2,))
    (tmp_path / "more.txt").write_text("Red\ndog\nblue\n")
    labels = CandidateNames(str(known), [str(foreign), "more.txt"]).make(vocabulary, Inputs())
    assert labels.words == ["red", "green"]
    assert labels.negatives == ("blue", "grey", "dog")
    assert labels.supervision == ("id_names", "ood_names")
    features = label_features(labels, vocabulary, torch.device("cpu"))
    assert features.negatives.equal(vocabulary.features[[2, 3, 4]])


def test_candidates_that_are_all_id_names_are_refused(vocabulary: Vocabulary, tmp_path: Path):
    (tmp_path / "names.txt").write_text("red\n")
    (tmp_path / "same.txt").write_text("RED\n")
    with pytest.raises(LabelSetError, match="every candidate is an ID name"):
        CandidateNames("names.txt", ["same.txt"]).make(vocabulary, Inputs())


def test_mined_negatives_are_the_words_least_similar_to_the_names(vocabulary: Vocabulary, tmp_path: Path):
    (tmp_path / "names.txt").write_text("red\n")
    labels = MinedNegatives("names.txt", count=3).make(vocabulary, Inputs())
    cosines = vocabulary.features @ vocabulary.features[0]
    nearest_last = sorted(range(1, 6), key=lambda i: float(cosines[i]))
    assert labels.negatives == tuple(WORDS[i] for i in nearest_last[:3])


def test_a_file_without_names_is_refused(vocabulary: Vocabulary, tmp_path: Path):
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(LabelSetError, match="holds no names"):
        IDNames("empty.txt").make(vocabulary, Inputs())


COUNTS = (3, 1, 4, 1, 2, 5)


def counted(vocabulary: Vocabulary) -> Vocabulary:
    """The same words, some of them more than once."""
    return replace(vocabulary, words=Words("six_duplicates", WORDS, "here", counts=COUNTS))


def rest(vocabulary: Vocabulary, *positives: str) -> LabelSet:
    """A mined set under the vocabulary's words."""
    return LabelSet(tuple(Positive(word) for word in positives), None, vocabulary.recipe(method="by hand"))


def test_the_rest_of_a_corpus_with_duplicates_weighs_as_much_as_its_copies(vocabulary: Vocabulary):
    many = counted(vocabulary)
    labels, images = rest(many, "red", "dog"), vocabulary.features[[0, 2]]
    features = label_features(labels, many, torch.device("cpu"))
    kept = [1, 2, 3, 5]  # no copy of an elected word is left among the negatives
    assert list(texts_of(labels, many).negatives) == [WORDS[i] for i in kept for _ in range(COUNTS[i])]
    logits = 10.0 * images.double() @ vocabulary.features.double().T
    log_counts = torch.tensor([COUNTS[i] for i in kept], dtype=torch.float64).log()
    expected = logits[:, [0, 4]].logsumexp(1) - (logits[:, kept] + log_counts).logsumexp(1)  # positives count once
    torch.testing.assert_close(LabelMass(sharpness=1.0)(images, features).double(), expected, atol=1e-5, rtol=0)
    plain = label_features(rest(vocabulary, "red", "dog"), vocabulary, torch.device("cpu"))
    assert (LabelMass(sharpness=1.0)(images, plain) - LabelMass(sharpness=1.0)(images, features)).min() > 0.1


def test_a_set_says_that_its_corpus_has_duplicates_and_is_refused_without(vocabulary: Vocabulary):
    many = counted(vocabulary)
    labels = rest(many, "red")
    assert labels.recipe["corpus"] == {
        "name": "six_duplicates",
        "words": 6,
        "sha256": many.words.sha256,
        "entries": sum(COUNTS),
    }
    assert set(rest(vocabulary, "red").recipe["corpus"]) == {"name", "words", "sha256"}
    labels.write("labels.json")
    assert Stored("labels.json").make(many, Inputs()) == labels
    with pytest.raises(LabelSetError, match=r"the rest of corpus 'six_duplicates' .*, the run uses 'six'"):
        Stored("labels.json").make(vocabulary, Inputs())


def test_mined_negatives_are_ranked_among_different_words(vocabulary: Vocabulary, tmp_path: Path):
    (tmp_path / "names.txt").write_text("red\n")
    source = MinedNegatives("names.txt", count=5)
    assert source.make(counted(vocabulary), Inputs()).negatives == source.make(vocabulary, Inputs()).negatives


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (partial(MinedNegatives, quantile=95), "quantile is 95"),
        (partial(CLIPScopeNegatives, share=5), "share is 5"),
        (partial(NegLabelNegatives, share=15), "share is 15"),
        (partial(CSPNegatives, quantile=95.0), "quantile is 95.0"),
    ],
)
def test_a_share_in_percent_is_refused_before_anything_is_encoded(source: Callable[[], object], name: str):
    with pytest.raises(SettingsError, match=rf"{name}, expected 0 to 1, without 0: 0\.\d+, not \d+$"):
        source()


def test_candidates_need_an_ood_set():
    with pytest.raises(SettingsError, match="ood_names is empty"):
        CandidateNames("names.txt")
