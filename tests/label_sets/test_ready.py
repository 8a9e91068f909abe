"""Features and texts of label sets that know their adjectives, made or read back."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tagged_corpus import (
    ADJECTIVES,
    BY_PART,
    NOUNS,
    PLAIN,
    Tagged,
    feature,
    single,
)

from ood_lightning.corpora.conjugated import Conjugated
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import WordFile
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.debiased import DebiasedNegatives
from ood_lightning.label_sets.official_negatives import AugmentedNames, CSPNegatives, NegLabelNegatives
from ood_lightning.label_sets.ready import label_features, texts_of
from ood_lightning.label_sets.sources import (
    CandidateNames,
    CLIPScopeNegatives,
    IDNames,
    MinedNegatives,
    Stored,
    WithCorpus,
)

CPU = torch.device("cpu")


SOURCES: list[Callable[[str], LabelSource]] = [
    lambda names: IDNames(names),
    lambda names: CandidateNames(names, ["ood.txt"]),
    lambda names: MinedNegatives(names, 8),
    lambda names: CLIPScopeNegatives(names, 4, 4),
    lambda names: NegLabelNegatives(names, share=0.5),
    lambda names: CSPNegatives(names, share=0.5, without_names=True),
    lambda names: AugmentedNames(names, 6),
    lambda names: DebiasedNegatives(names, 0.5, 0.5, 3),
]


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("conjugated", [False, True])
@pytest.mark.parametrize("prompts", [PLAIN, BY_PART])
def test_a_set_scores_the_same_when_it_is_read_back(
    make: Callable[[str], LabelSource], conjugated: bool, prompts: Prompts, bank: TextBank, names: str
):
    Path("ood.txt").write_text("wide\nstone\n")
    source, corpus = make(names), Conjugated(Tagged()) if conjugated else Tagged()
    vocabulary = single(source, bank, corpus, prompts)
    made = source.make(vocabulary, Inputs())
    assert ("adjectives" in made.recipe) == (prompts is BY_PART and not isinstance(source, IDNames | CandidateNames))

    made.write("labels.json")
    read = Stored("labels.json").make(vocabulary, Inputs())
    assert read == made
    first, second = (label_features(labels, vocabulary, CPU) for labels in (made, read))
    for side in ("positives", "negatives"):
        torch.testing.assert_close(getattr(first, side), getattr(second, side), rtol=0, atol=0)

    if made.negatives is not None:  # nor does it take the corpus then
        Path("w.txt").write_text("lamp\n")
        elsewhere = single(WithCorpus("labels.json", WordFile("w.txt")), bank, Tagged(), prompts)
        third = label_features(Stored("labels.json").make(elsewhere, Inputs()), elsewhere, CPU)
        for side in ("positives", "negatives"):
            torch.testing.assert_close(getattr(third, side), getattr(first, side))


@pytest.mark.parametrize("conjugated", [False, True])
def test_names_are_nouns_and_negatives_what_the_corpus_says(bank: TextBank, names: str, conjugated: bool):
    corpus = Conjugated(Tagged()) if conjugated else Tagged()
    words = corpus.load()
    source = NegLabelNegatives(names, share=1.0)
    vocabulary = single(source, bank, corpus)
    labels = source.make(vocabulary, Inputs())
    features = label_features(labels, vocabulary, CPU)
    torch.testing.assert_close(features.positives, torch.stack([feature(w, "noun") for w in ("grey", "cat", "pansy")]))
    assert set(labels.negatives or ()) == set(words.words)

    expected = [feature(w, "adj" if w in words.adjectives else "noun") for w in labels.negatives or ()]
    torch.testing.assert_close(features.negatives, torch.stack(expected))

    assert labels.recipe["adjectives"] == {
        "positives": [],
        "negatives": [w for w in labels.negatives or () if w in words.adjectives],
    }
    assert list(texts_of(labels, vocabulary).negatives) == list(labels.negatives or ())


def test_names_of_ood_classes_are_nouns(bank: TextBank, names: str):
    Path("ood.txt").write_text("wide\nstone\n")
    source = CandidateNames(names, ["ood.txt"])
    vocabulary = single(source, bank)
    features = label_features(source.make(vocabulary, Inputs()), vocabulary, CPU)
    torch.testing.assert_close(features.negatives, torch.stack([feature(w, "noun") for w in ("wide", "stone")]))


def test_added_words_are_what_the_corpus_says_and_the_rest_is_negative(bank: TextBank, names: str):
    source = AugmentedNames(names, 9)  # of ten words that are no name
    vocabulary = single(source, bank)
    labels = source.make(vocabulary, Inputs())
    added = labels.words[3:]
    assert {"red", "wide", "tall"} & set(added)
    expected = [feature(w, "noun") for w in labels.words[:3]]
    expected += [feature(w, "adj" if w in ADJECTIVES else "noun") for w in added]
    features = label_features(labels, vocabulary, CPU)
    torch.testing.assert_close(features.positives, torch.stack(expected))
    rest = [w for w in (*NOUNS, *ADJECTIVES) if w not in {*added, "grey", "cat"}]
    assert list(texts_of(labels, vocabulary).negatives) == rest
    expected = [feature(w, "adj" if w in ADJECTIVES else "noun") for w in rest]
    torch.testing.assert_close(features.negatives, torch.stack(expected))
