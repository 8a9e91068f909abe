"""WordNet with all lemmas, and with duplicates: the four preparations of ClusterMine's Table 6."""

import logging
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from system_wordnet import SYSTEM, needs_system

from ood_lightning.corpora import wordnet
from ood_lightning.corpora.union import Union
from ood_lightning.corpora.without import Without
from ood_lightning.corpora.wordnet import WordNet, clean
from ood_lightning.corpora.words import WordFile
from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import frozen_text, synsets

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

Parts = Literal["noun", "noun+adj"]
Lemmas = Literal["first", "all"]
SIZES = [  # words, entries with duplicates
    ("noun", "first", 67_186, 82_115),
    ("noun", "all", 117_798, 146_347),
    ("noun+adj", "first", 79_403, 100_271),
    ("noun+adj", "all", 136_139, 176_351),
]
NOUNS = (
    "00001740 03 n 02 entity 0 Zebra 0 000 | all\n"
    "00001930 03 n 03 Ma 0 MA 0 entity 1 000 | two lemmas of one synset that are one word\n"
    "00002137 05 n 01 Entity 2 000 | once more, in another sense\n"
)
ADJECTIVES = "00001740 00 a 03 able(p) 0 entity 0 apt 0 000 | having the power\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "data.adj").write_text(ADJECTIVES)
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("lemmas", "nouns", "adjectives", "counts"),
    [
        ("first", ("entity", "ma"), ("able",), (2, 1, 1)),
        ("all", ("entity", "ma", "zebra"), ("able", "apt"), (4, 2, 1, 1, 1)),  # a noun has its adjective's copies too
    ],
)
def test_heads_come_first_and_copies_are_counted(
    lemmas: Lemmas, nouns: tuple[str, ...], adjectives: tuple[str, ...], counts: tuple[int, ...]
):
    plain = WordNet(lemmas=lemmas, source="system").load()
    counted = WordNet(lemmas=lemmas, duplicates=True, source="system").load()
    assert (plain.words, plain.counts) == ((*nouns, *adjectives), None)
    assert (counted.words, counted.counts) == (plain.words, counts)
    assert plain.parts == counted.parts == ("noun",) * len(nouns) + ("adj",) * len(adjectives)
    assert plain.sha256 != counted.sha256


@pytest.mark.parametrize(("parts", "lemmas", "n_words", "n_entries"), SIZES)
def test_the_frozen_lists_have_the_papers_sizes(
    parts: Parts, lemmas: Lemmas, n_words: int, n_entries: int, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        plain, counted = (WordNet(parts, lemmas, duplicates).load() for duplicates in (False, True))
    assert not caplog.text
    assert len(plain) == len(counted) == n_words
    assert sum(counted.times) == n_entries
    assert plain.words == counted.words
    first = WordNet(parts, source="frozen").load().words
    assert lemmas == "all" or plain.words == first
    assert set(first) <= set(plain.words)
    assert not any("_" in word or word != word.lower() or word != word.strip() for word in plain.words)


def test_adjectives_alone_have_the_known_counts():
    lines = [line.split(" ", 2) for line in frozen_text(wordnet.ADJ_LEMMAS, wordnet.ADJ_LEMMAS_SHA256).splitlines()]
    heads, entries = ([int(fields[column]) for fields in lines] for column in (0, 1))
    assert (sum(heads), sum(map(bool, heads)), len(lines), sum(entries)) == (18_156, 14_006, 21_479, 30_004)


@needs_system
@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize("lemmas", ["first", "all"])
@pytest.mark.parametrize("parts", ["noun", "noun+adj"])
def test_a_system_wordnet_gives_the_frozen_words_and_counts(parts: Parts, lemmas: Lemmas, duplicates: bool):
    frozen, system = (WordNet(parts, lemmas, duplicates, source).load() for source in ("frozen", "system"))
    assert system.sha256 == frozen.sha256
    assert (system.parts, system.counts) == (frozen.parts, frozen.counts)


@needs_system
def test_counts_are_those_of_the_database_files():
    tokens = [clean(lemma) for part in ("noun", "adj") for s in synsets(SYSTEM, part) for lemma in s.lemmas]
    words = WordNet(lemmas="all", duplicates=True).load()
    assert dict(zip(words.words, words.times, strict=True)) == Counter(tokens)


@pytest.mark.usefixtures("small")
def test_another_count_of_entries_is_told(caplog: pytest.LogCaptureFixture):
    WordNet(lemmas="all", duplicates=True, source="system").load()
    assert "(noun+adj) gives 9 words; 3.0 gives 176351" in caplog.text


def test_changed_lemmas_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wordnet, "ADJ_LEMMAS_SHA256", "0" * 64)
    with pytest.raises(CorpusError, match=r"wordnet30_adj_lemmas\.txt\.xz has SHA-256 .*, expected 0000"):
        WordNet(lemmas="all").load()
    assert len(WordNet().load()) == 79_403  # first lemmas need no counts


@pytest.mark.usefixtures("small")
def test_corpora_made_of_others_keep_their_counts(tmp_path: Path):
    (tmp_path / "more.txt").write_text("apt\nbird\n")
    small = WordNet(lemmas="all", duplicates=True, source="system")
    joined = Union([WordFile(str(tmp_path / "more.txt")), small]).load()
    assert joined.words == ("apt", "bird", "entity", "ma", "zebra", "able")
    assert joined.counts == (1, 1, 4, 2, 1, 1)
    assert Without(small, str(tmp_path / "more.txt")).load().counts == (4, 2, 1, 1)
    (tmp_path / "more.txt").write_text("entity\nma\n")
    assert Without(small, str(tmp_path / "more.txt")).load().counts is None
