"""Words by lexicographer file: WordNet's own, a folder of released lists, and CSP's phrases."""

import os
import random
import re
from pathlib import Path

import pytest

from ood_lightning.corpora import lexicographer
from ood_lightning.corpora.conjugated import BROAD_NOUNS, Conjugated
from ood_lightning.corpora.lexicographer import FILES, Lexicographer, LexicographerFolder
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.corpora.words import Corpus, WordFile, Words
from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import SYSTEM_FOLDER, wndb_version

NEGLABEL = ("noun.animal", "noun.food")
CSP = (*NEGLABEL, "noun.person", "noun.quantity", "noun.group", "adj.pert")
SYSTEM = Path(os.environ.get("WNSEARCHDIR", SYSTEM_FOLDER))
needs_system = pytest.mark.skipif(
    not (SYSTEM / "data.noun").exists() or wndb_version(SYSTEM) != "3.0",
    reason=f"no WordNet 3.0 in {SYSTEM} (apt-get install wordnet-base)",
)

RELEASED = (
    Path(os.environ.get("REFERENCE_DIR") or Path(__file__).parents[3] / "shared" / "reference").resolve() / "negrefine"
)


def counted(words: Words) -> tuple[int, int]:
    assert words.parts is not None
    return words.parts.count("noun"), words.parts.count("adj")


@pytest.mark.parametrize(
    ("exclude", "nouns_first", "adjectives_first", "sha256"),
    [
        ((), (67_186, 12_217), (65_397, 14_006), "670a0a3c9999"),
        (NEGLABEL, (58_514, 12_280), (56_788, 14_006), "86f55eb2a157"),
        (CSP, (47_287, 10_206), (46_446, 11_047), "0026ae840999"),
    ],
)
def test_counts_of_wordnet_30(
    exclude: tuple[str, ...], nouns_first: tuple[int, int], adjectives_first: tuple[int, int], sha256: str
):
    first, second = Lexicographer(exclude).load(), Lexicographer(exclude, adjectives_first=True).load()
    assert (counted(first), counted(second)) == (nouns_first, adjectives_first)
    assert set(first.words) == set(second.words)
    if exclude:  # without, WordNet's words in another order: by file
        assert first.sha256.startswith(sha256)


def test_nothing_left_out_is_the_plain_corpus_in_another_order():
    plain, ours = WordNet().load(), Lexicographer().load()
    assert set(plain.words) == set(ours.words)
    assert plain.adjectives == ours.adjectives


@needs_system
@pytest.mark.parametrize("exclude", [(), CSP])
def test_words_are_those_of_the_files_that_a_slow_reading_finds(exclude: tuple[str, ...]):
    by_file: dict[str, set[str]] = {}
    for part in ("noun", "adj"):
        for line in (SYSTEM / f"data.{part}").read_text().splitlines():
            if not line.startswith("  "):
                _, number, _, _, lemma, *_ = line.split()
                word = re.sub(r"\((a|p|ip)\)$", "", lemma).replace("_", " ").lower()
                by_file.setdefault(FILES[int(number)], set()).add(word)
    assert set(by_file) == set(FILES.values())
    kept = {name: words for name, words in by_file.items() if name not in exclude}
    found = Lexicographer(exclude).load()
    assert set(found.words) == set().union(*kept.values())
    nouns = set().union(*(words for name, words in kept.items() if name.startswith("noun")))
    assert found.adjectives == set(found.words) - nouns
    ranks = {word: min(list(FILES.values()).index(n) for n in kept if word in kept[n]) for word in found.words}
    order = [ranks[word] for word in found.words]  # FILES lists nouns first, then adj.all, adj.pert, adj.ppl
    assert order == sorted(order)


def test_a_changed_list_of_files_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(lexicographer.FILES_SHA256, "adj", "0" * 64)
    with pytest.raises(CorpusError, match=r"wordnet30_adj_files\.txt\.xz has SHA-256"):
        Lexicographer().load()


@pytest.mark.parametrize("corpus", [Lexicographer, lambda exclude: LexicographerFolder("x", exclude)])
def test_a_file_that_wordnet_does_not_have_is_refused(corpus: type[Lexicographer]):
    with pytest.raises(CorpusError, match=r"no lexicographer file 'noun\.food\.txt'; it has noun\.Tops, noun\.act"):
        corpus(("noun.food.txt",))
    with pytest.raises(CorpusError, match="a list is expected"):
        corpus("noun.food")  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lists = {
        "adj.all.txt": "Red\n[aqueous\norange\nwell_made\n",
        "adj.pert.txt": "lunar\nred\n",
        "noun.Tops.txt": "entity\n\n",
        "noun.plant.txt": 'Orange\nsea_holly\nentity\nwordnet3.1"\norange\n',
        "noun.person.txt": "sailor\nyellow adder's tongue\n",
        "verb.motion.txt": "go\n",
        "readme.md": "not a list\n",
    }
    (tmp_path / "txtfiles").mkdir()
    for name, text in lists.items():
        (tmp_path / "txtfiles" / name).write_text(text)
    return tmp_path / "txtfiles"


def test_a_folder_of_lists_is_read_by_the_official_rules(folder: Path):
    found = LexicographerFolder(str(folder)).load()
    nouns = ("entity", "sailor", "yellow adder's tongue", "orange", "sea_holly", 'wordnet3.1"')
    assert found.words == (*nouns, "red", "[aqueous", "well_made", "lunar")
    assert counted(found) == (6, 4)
    other = LexicographerFolder(str(folder), adjectives_first=True).load()
    assert other.words[:5] == ("red", "[aqueous", "orange", "well_made", "lunar")
    assert counted(other) == (5, 5)
    assert set(other.words) == set(found.words)


def test_files_are_left_out_whole_and_underscores_become_spaces_if_asked(folder: Path):
    found = LexicographerFolder(str(folder), ("noun.person", "adj.pert", "noun.food"), spaces=True).load()
    assert found.words == ("entity", "orange", "sea holly", 'wordnet3.1"', "red", "[aqueous", "well made")


def test_a_folder_without_lists_says_what_was_expected(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"holds no lists of words .*: expected files such as noun\.plant\.txt"):
        LexicographerFolder(str(tmp_path)).load()


class Some(Corpus):
    def load(self) -> Words:
        parts = ("noun", "adj", "adj", "noun", "adj", "adj")
        return Words("some", ("sky", "red", "blue", "cat", "wide", "wide open"), "here", parts)


def test_every_adjective_becomes_one_phrase_by_the_official_stream_of_draws():
    found = Conjugated(Some()).load()
    random.seed(0)
    expected = [f"{word} {random.choice(BROAD_NOUNS)}" for word in ("red", "blue", "wide", "wide open")]
    assert found.words == ("sky", expected[0], expected[1], "cat", expected[2], expected[3])
    assert found.adjectives == set(expected)
    assert found.words == Conjugated(Some()).load().words
    assert any(Conjugated(Some(), seed).load().words != found.words for seed in (1, 2, 3))


def test_the_draws_leave_the_global_stream_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    Conjugated(Some()).load()
    assert random.random() == expected


def test_csps_pool_has_one_phrase_for_each_adjective_but_for_those_that_are_nouns():
    plain, found = Lexicographer(CSP).load(), Conjugated(Lexicographer(CSP)).load()
    nouns = set(plain.words) - plain.adjectives
    assert len(BROAD_NOUNS) == len(set(BROAD_NOUNS)) == 14
    assert set(found.words) - found.adjectives == nouns
    heads = [phrase.rpartition(" ") for phrase in found.adjectives]
    assert {last for _, _, last in heads} == set(BROAD_NOUNS)
    adjectives = [first for first, _, _ in heads]
    assert len(adjectives) == len(set(adjectives)) == 10_203
    lost = plain.adjectives - set(adjectives)
    assert len(lost) == 3
    assert all(any(f"{word} {broad}" in nouns for broad in BROAD_NOUNS) for word in lost)


def test_a_corpus_without_adjectives_cannot_be_conjugated(tmp_path: Path):
    (tmp_path / "w.txt").write_text("red\n")
    with pytest.raises(CorpusError, match="marks no word as an adjective"):
        Conjugated(WordFile("w.txt")).load()


@pytest.mark.skipif(not (RELEASED / "lexicon").is_dir(), reason=f"no released word lists in {RELEASED}")
def test_the_released_lists_have_the_published_counts_and_hold_every_released_negative():
    folder = str(RELEASED / "lexicon")
    assert counted(LexicographerFolder(folder).load()) == (58_546, 11_454)
    pool = LexicographerFolder(folder, exclude=CSP[2:], spaces=True).load()
    assert counted(pool) == (47_327, 9_293)
    assert counted(LexicographerFolder(folder, CSP[2:], True, True).load()) == (46_560, 10_060)
    nouns = (RELEASED / "initial_neg_labels_noun.txt").read_text(encoding="utf-8").splitlines()
    phrases = (RELEASED / "initial_neg_labels_adj.txt").read_text(encoding="utf-8").splitlines()
    assert set(nouns) <= set(pool.words)
    adjectives, broad = zip(*(phrase.rsplit(" ", 1) for phrase in phrases), strict=True)
    assert set(adjectives) <= set(pool.words)
    assert set(broad) == set(BROAD_NOUNS)
