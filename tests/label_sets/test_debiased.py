"""Words of dense regions, each kind ranked on its own, against a loop; the positives decide nothing."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tagged_corpus import ADJECTIVES, BY_PART, NOUNS, PLAIN, Tagged, feature, single, vector

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.label_sets.debiased import DebiasedNegatives


def by_loop(prompts: Prompts, noun_share: float, adjective_share: float, k: int) -> list[str]:
    part_of = {**dict.fromkeys(NOUNS, "noun"), **dict.fromkeys(ADJECTIVES, "adj")}
    length = {}
    for word, part in part_of.items():
        templates = prompts.adjectives if part == "adj" and prompts.adjectives else prompts.templates
        sentences = torch.stack([vector(template.replace("{}", word)) for template in templates])
        length[word] = float(sentences.mean(dim=0).norm())

    unit = {word: feature(word, part, prompts).double() for word, part in part_of.items()}
    density = {}
    for word in part_of:
        d = sorted(length[word] + length[other] - 2 * float(unit[word] @ unit[other]) for other in part_of)
        density[word] = sum(math.log(value) for value in d[: k + 1]) / (k + 1)
    kinds = ((NOUNS, noun_share), (ADJECTIVES, adjective_share))
    return [word for kind, share in kinds for word in sorted(kind, key=density.__getitem__)[: int(share * len(kind))]]


@pytest.mark.parametrize("prompts", [PLAIN, BY_PART, replace(BY_PART, order="normalise-then-mean")])
@pytest.mark.parametrize(("noun_share", "adjective_share", "k"), [(0.5, 0.5, 3), (0.25, 1.0, 1), (1.0, 0.0, 11)])
def test_matches_a_loop_over_nouns_and_adjectives(
    prompts: Prompts, noun_share: float, adjective_share: float, k: int, bank: TextBank, names: str
):
    source = DebiasedNegatives(names, noun_share, adjective_share, k)
    label_set = source.make(single(source, bank, prompts=prompts), Inputs())
    assert list(label_set.negatives or ()) == by_loop(prompts, noun_share, adjective_share, k)
    assert label_set.words == ["grey", "cat", "pansy"]


def test_the_recipe_says_what_it_was_made_from(bank: TextBank, names: str):
    source = DebiasedNegatives(names, 0.5, 0.5, 3)
    label_set = source.make(single(source, bank), Inputs())
    recipe = label_set.recipe
    assert (recipe["method"], label_set.supervision, recipe["neighbours"]) == ("Debiased", ("id_names",), 3)
    assert recipe["negatives"] == {"nouns": 4, "adjectives": 2}
    assert (recipe["noun_share"], recipe["adjective_share"]) == (0.5, 0.5)


def test_other_positives_get_the_same_negatives(bank: TextBank, names: str):
    recipe = {"method": "x", "supervision": ["id_images"]}
    LabelSet((Positive("lamp"), Positive("tall")), (), recipe).write("run/labels.json")
    of_names, mined = (DebiasedNegatives(one, 0.5, 0.5, 3) for one in (names, "run"))
    vocabulary = single(mined, bank)
    first, second = (source.make(vocabulary, Inputs()) for source in (of_names, mined))
    assert first.negatives == second.negatives
    assert (second.words, second.supervision) == (["lamp", "tall"], ("id_images",))


def test_the_order_of_the_corpus_within_a_kind_decides_nothing(bank: TextBank, names: str):
    turned = Tagged(tuple(random.Random(0).sample(NOUNS, 8)), ADJECTIVES[::-1])
    source = DebiasedNegatives(names, 0.5, 0.5, 3)
    picked = [source.make(single(source, bank, corpus), Inputs()).negatives for corpus in (Tagged(), turned)]
    assert picked[0] == picked[1]


def test_what_cannot_be_mined_is_refused_in_words(bank: TextBank, names: str):
    for source, words in (
        (DebiasedNegatives(names), "negatives of 'tagged': 100 neighbours of 12 words: expected 1 to 11"),
        (DebiasedNegatives(names, 0.05, 0.1, 3), r"no negative is left of the 12 words .* noun_share than 0\.05"),
    ):
        with pytest.raises(LabelSetError, match=words):
            source.make(single(source, bank), Inputs())


def test_lengths_of_features_that_an_earlier_version_stored_are_encoded_once(bank: TextBank, names: str):
    source = DebiasedNegatives(names, 0.5, 0.5, 3)
    vocabulary = single(source, bank)
    file = bank.file(vocabulary.words.words, vocabulary.prompts, vocabulary.words.parts)
    file.write(vocabulary.features)  # without lengths
    lengths = vocabulary.lengths()
    assert Path(file.path).is_file()
    assert torch.equal(lengths, vocabulary.lengths())
    assert torch.equal(file.read_lengths(12), lengths)
