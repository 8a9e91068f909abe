"""Words by lexicographer file: WordNet's own, a folder of released lists, and CSP's phrases."""

import os
import re
from pathlib import Path

import pytest
from system_wordnet import SYSTEM, needs_system

from ood_lightning.corpora import lexicographer
from ood_lightning.corpora.conjugated import BROAD_NOUNS
from ood_lightning.corpora.lexicographer import FILES, Lexicographer, LexicographerFolder
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.corpora.words import Words
from ood_lightning.errors import CorpusError

NEGLABEL = ("noun.animal", "noun.food")
CSP = (*NEGLABEL, "noun.person", "noun.quantity", "noun.group", "adj.pert")

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


@pytest.mark.slow
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
    left = {name: its_words for name, its_words in by_file.items() if name not in exclude}
    words = Lexicographer(exclude).load()
    assert set(words.words) == set().union(*left.values())
    nouns = set().union(*(its_words for name, its_words in left.items() if name.startswith("noun")))
    assert words.adjectives == set(words.words) - nouns

    files = list(FILES.values())
    ranks = {word: min(files.index(n) for n in left if word in left[n]) for word in words.words}
    order = [ranks[word] for word in words.words]  # FILES lists nouns first, then adj.all, adj.pert, adj.ppl
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
    words = LexicographerFolder(str(folder)).load()
    nouns = ("entity", "sailor", "yellow adder's tongue", "orange", "sea_holly", 'wordnet3.1"')
    assert words.words == (*nouns, "red", "[aqueous", "well_made", "lunar")
    assert counted(words) == (6, 4)

    other = LexicographerFolder(str(folder), adjectives_first=True).load()
    assert other.words[:5] == ("red", "[aqueous", "orange", "well_made", "lunar")
    assert counted(other) == (5, 5)
    assert set(other.words) == set(words.words)


def test_files_are_left_out_whole_and_underscores_become_spaces_if_asked(folder: Path):
    words = LexicographerFolder(str(folder), ("noun.person", "adj.pert", "noun.food"), spaces=True).load()
    assert words.words == ("entity", "orange", "sea holly", 'wordnet3.1"', "red", "[aqueous", "well made")


def test_a_folder_without_lists_says_what_was_expected(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"holds no lists of words .*: expected files such as noun\.plant\.txt"):
        LexicographerFolder(str(tmp_path)).load()


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
