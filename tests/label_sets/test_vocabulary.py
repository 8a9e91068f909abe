"""Label sets under the same words and prompts share one vocabulary; a corpus is encoded where one reads it."""

from pathlib import Path

import pytest
import torch
from tagged_corpus import BY_PART, PLAIN, FakeEncoder, Tagged, feature, single

from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import WordFile
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.ready import label_features
from ood_lightning.label_sets.sources import (
    IDNames,
    MinedNegatives,
    Stored,
    WithCorpus,
)
from ood_lightning.label_sets.vocabulary import build_vocabularies

CPU = torch.device("cpu")


def test_sets_under_the_same_words_and_prompts_share_one_vocabulary(bank: TextBank, encoder: FakeEncoder, names: str):
    Path("w.txt").write_text("sky\nstone\n")
    sources: dict[str, LabelSource] = {
        "run": IDNames(names),
        "run, said again": WithCorpus(IDNames(names), Tagged(), PLAIN),
        "other words": WithCorpus(IDNames(names), WordFile("w.txt")),
        "other prompts": WithCorpus(MinedNegatives(names, 2), prompts=BY_PART),
        "both": WithCorpus(WithCorpus(IDNames(names), prompts=BY_PART), WordFile("w.txt"), PLAIN),  # the inner one wins
        "both again": WithCorpus(IDNames(names), WordFile("w.txt"), BY_PART),
    }

    vocabularies = build_vocabularies(sources, Tagged(), PLAIN, bank)
    assert vocabularies["run"] is vocabularies["run, said again"]
    assert vocabularies["both"] is vocabularies["both again"]
    assert len({id(vocabulary) for vocabulary in vocabularies.values()}) == 4
    assert vocabularies["other words"].words.words == ("sky", "stone")
    assert (vocabularies["other words"].prompts, vocabularies["other prompts"].prompts) == (PLAIN, BY_PART)
    assert len(encoder.encoded) == 8 * 2 + 4 * 3  # only "other prompts" takes words of its corpus

    n_encoded = len(encoder.encoded)
    again = build_vocabularies(sources, Tagged(), PLAIN, bank)["other prompts"].features
    assert again.shape == (12, 12)
    assert again.equal(vocabularies["other prompts"].features)
    assert len(encoder.encoded) == n_encoded


def test_one_set_that_reads_the_corpus_is_enough_to_encode_it_for_all_that_share_it(bank: TextBank, names: str):
    sources: dict[str, LabelSource] = {"names": IDNames(names), "mined": MinedNegatives(names, 2)}
    vocabularies = build_vocabularies(sources, Tagged(), PLAIN, bank)
    assert vocabularies["names"] is vocabularies["mined"]
    assert vocabularies["names"].features.shape == (12, 12)
    assert build_vocabularies({"names": IDNames(names)}, Tagged(), PLAIN, bank)["names"].features.shape == (0, 0)


@pytest.mark.parametrize("negatives", [(), ("cat", "seven"), None])
def test_a_label_set_has_the_same_features_whether_its_corpus_is_encoded_or_not(
    bank: TextBank, negatives: tuple[str, ...] | None
):
    labels = LabelSet((Positive("grey"), Positive("cat"), Positive("unheard of")), negatives, {})
    labels.write(Path("labels.json"))
    source = Stored("labels.json")
    assert source.reads_corpus == (negatives is None)
    alone = build_vocabularies({"": source}, Tagged(), PLAIN, bank)[""]
    beside = build_vocabularies({"": source, "mined": MinedNegatives("labels.json", 1)}, Tagged(), PLAIN, bank)[""]
    assert len(beside.features) == 12
    device = torch.device("cpu")
    features, expected = (label_features(labels, vocabulary, device) for vocabulary in (alone, beside))
    assert features.positives.equal(expected.positives)
    assert features.negatives.equal(expected.negatives)
    assert features.negatives.shape[1] == 12
    assert features.positives.equal(torch.stack([feature(word, "noun", PLAIN) for word in labels.words]))


def test_the_runs_corpus_is_not_read_where_no_set_needs_it(bank: TextBank, names: str):
    source = WithCorpus(IDNames(names), Tagged(), BY_PART)
    assert single(source, bank, WordFile("nowhere.txt"), PLAIN).words.name == "tagged"
