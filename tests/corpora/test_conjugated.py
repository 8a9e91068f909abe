"""Phrases for adjectives, drawn as CSP's code draws them."""

import random
from pathlib import Path

import pytest

from ood_lightning.corpora.conjugated import BROAD_NOUNS, Conjugated
from ood_lightning.corpora.lexicographer import Lexicographer
from ood_lightning.corpora.words import Corpus, WordFile, Words
from ood_lightning.errors import CorpusError

CSP = ("noun.animal", "noun.food", "noun.person", "noun.quantity", "noun.group", "adj.pert")


class SkyAndCat(Corpus):
    def load(self) -> Words:
        parts = ("noun", "adj", "adj", "noun", "adj", "adj")
        return Words("sky_and_cat", ("sky", "red", "blue", "cat", "wide", "wide open"), "here", parts)


def test_every_adjective_becomes_one_phrase_by_the_official_stream_of_draws():
    words = Conjugated(SkyAndCat()).load()
    random.seed(0)
    expected = [f"{word} {random.choice(BROAD_NOUNS)}" for word in ("red", "blue", "wide", "wide open")]
    assert words.words == ("sky", expected[0], expected[1], "cat", expected[2], expected[3])
    assert words.adjectives == set(expected)
    assert words.words == Conjugated(SkyAndCat()).load().words
    assert any(Conjugated(SkyAndCat(), seed).load().words != words.words for seed in (1, 2, 3))


def test_the_draws_leave_the_global_stream_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    Conjugated(SkyAndCat()).load()
    assert random.random() == expected


def test_csps_pool_has_one_phrase_for_each_adjective_but_for_those_that_are_nouns():
    plain = Lexicographer(CSP).load()
    pool = Conjugated(Lexicographer(CSP)).load()
    nouns = set(plain.words) - plain.adjectives
    assert len(BROAD_NOUNS) == len(set(BROAD_NOUNS)) == 14
    assert set(pool.words) - pool.adjectives == nouns

    phrases = [phrase.rpartition(" ") for phrase in pool.adjectives]
    assert {last for _, _, last in phrases} == set(BROAD_NOUNS)
    adjectives = [first for first, _, _ in phrases]
    assert len(adjectives) == len(set(adjectives)) == 10_203

    lost = plain.adjectives - set(adjectives)
    assert len(lost) == 3
    assert all(any(f"{word} {broad}" in nouns for broad in BROAD_NOUNS) for word in lost)


def test_a_corpus_without_adjectives_cannot_be_conjugated(tmp_path: Path):
    (tmp_path / "w.txt").write_text("red\n")
    with pytest.raises(CorpusError, match="marks no word as an adjective"):
        Conjugated(WordFile("w.txt")).load()
