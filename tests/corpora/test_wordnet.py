import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from system_wordnet import SYSTEM, needs_system

from ood_lightning.corpora import wordnet
from ood_lightning.corpora.wordnet import WordNet, first_lemmas
from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import wndb_version

SHA256 = {  # of the words of WordNet 3.0
    "noun": "4a1e9d746de20931cffde3f1741d4d508d7ae9725f2209142aace958f910e4f4",
    "noun+adj": "670a0a3c999988695790d4e5b801d7e23514137946ea4cf62c2a9e1b7a54fb44",
}
ALL_DUPLICATES_SHA256 = "01d20ff1b9fa4e7e6dfb5bd2a7def395af852641f081049b06b68aaf3155bfdf"  # nouns and adjectives
HEADER = "  1 This software is provided under a license.  \n  2 WordNet 3.0 Copyright 2006 by Princeton University.  \n"
EIGHTEEN = " ".join(f"lemma_{i} 0" for i in range(0x12))
NOUNS = (
    HEADER + "00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is\n"
    f"00001930 03 n 12 {EIGHTEEN} 001 @ 00001740 n 0000 | eighteen lemmas, 12 in hexadecimal\n"
    "00002137 05 n 02 Attic_fable 0 Entity 1 000 | a fable | with a bar in its gloss  \n"
    "00002452 05 n 01 Entity 2 000 | once more, in another sense  \n"
)
ADJECTIVES = (
    HEADER + "00001740 00 a 01 able 0 001 = 00002098 a 0101 | having the power\n"
    "00001930 00 s 02 galore(ip) 0 abounding 0 000 | in great numbers\n"
    "00002137 00 a 01 bound(p) 0 000 | headed\n"
    "00002312 00 s 01 absolute(a) 0 000 | perfect\n"
    "00002452 00 a 01 entity 0 000 | no adjective, but a noun as well\n"
    "00002600 00 a 01 St._Louis(x) 0 000 | an unknown marker stays\n"
)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "data.adj").write_text(ADJECTIVES)
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    return tmp_path


def test_the_parser_reads_hexadecimal_counts_and_strips_markers(small: Path):
    nouns, adjectives = (list(first_lemmas(small, part)) for part in ("noun", "adj"))
    assert nouns == [("entity", 3), ("lemma 0", 3), ("attic fable", 5), ("entity", 5)]
    assert [word for word, _ in adjectives] == ["able", "galore", "bound", "absolute", "entity", "st. louis(x)"]
    assert {file for _, file in adjectives} == {0}
    assert wndb_version(small) == "3.0"


def test_the_union_has_nouns_first_and_no_duplicates_and_warns_of_its_count(
    small: Path, caplog: pytest.LogCaptureFixture
):
    words = WordNet("noun+adj", source="system").load()
    assert words.words == (
        *("entity", "lemma 0", "attic fable"),
        *("able", "galore", "bound", "absolute", "st. louis(x)"),
    )
    assert words.parts == ("noun",) * 3 + ("adj",) * 5  # "entity" is both and stays a noun
    assert words.source == f"WordNet 3.0, {small}"
    assert "(noun+adj) gives 8 words; 3.0 gives 79403" in caplog.text


def test_a_cut_line_is_named(small: Path):
    with (small / "data.noun").open("a") as file:
        file.write("00009999 03 n 03 only_one 0")
    with pytest.raises(CorpusError, match=r"data\.noun, line 7: no synset"):
        WordNet("noun", source="system").load()


def test_a_missing_system_wordnet_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path / "nowhere"))
    with pytest.raises(CorpusError, match="apt-get install wordnet-base"):
        WordNet(source="system").load()


@pytest.mark.parametrize(("parts", "count"), [("noun", 67_186), ("noun+adj", 79_403)])
def test_the_frozen_lists_are_the_papers_and_auto_takes_them(
    parts: Literal["noun", "noun+adj"],
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))  # whatever WordNet a machine has, auto does not look
    with caplog.at_level(logging.WARNING):
        words = WordNet(parts).load()
    assert len(words) == count
    assert words.sha256 == SHA256[parts] == WordNet(parts, source="frozen").load().sha256
    assert not caplog.text
    assert not any("_" in word or word != word.lower() for word in words.words)
    assert {"octopus", "ph.d.", "water buffalo"} <= set(words.words)


def test_a_changed_frozen_list_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(wordnet.FROZEN_SHA256, "noun", "0" * 64)
    with pytest.raises(CorpusError, match=r"wordnet30_noun\.txt\.xz has SHA-256 91d6fd3a7d09\.\.\., expected 0000"):
        WordNet("noun").load()


def test_the_word_lists_come_with_their_licence():
    licence = Path(wordnet.__file__).parent / "frozen" / "LICENSE-WordNet.txt"
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in licence.read_text()


@pytest.mark.slow
@needs_system
@pytest.mark.parametrize("parts", ["noun", "noun+adj"])
def test_a_system_wordnet_gives_the_frozen_words(parts: Literal["noun", "noun+adj"], caplog: pytest.LogCaptureFixture):
    assert WordNet(parts, source="system").load().sha256 == SHA256[parts]
    assert not caplog.text


@needs_system
@pytest.mark.slow
def test_the_lists_are_what_their_script_makes():
    script = Path(__file__).parents[2] / "scripts" / "make_wordnet_lists.py"
    done = subprocess.run(
        [sys.executable, script, "--check", "--wordnet", SYSTEM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


NOUN_FILES = """
Tops act animal artifact attribute body cognition communication event feeling food group location
motive object person phenomenon plant possession process quantity relation shape state substance
time
"""
VERB_FILES = """
body change cognition communication competition consumption contact creation emotion motion
perception possession social stative weather
"""
LEXNAMES = [  # the lexicographer files by number; Debian's package leaves the list out
    *("adj.all", "adj.pert", "adv.all"),
    *(f"noun.{name}" for name in NOUN_FILES.split()),
    *(f"verb.{name}" for name in VERB_FILES.split()),
    "adj.ppl",
]
READ_WITH_NLTK = """
import sys, nltk
from ood_lightning.corpora.wordnet import WordNet
nltk.data.path[:] = [sys.argv[1]]
try:
    words = WordNet(source="nltk").load()
    print(words.sha256, WordNet(lemmas="all", duplicates=True, source="nltk").load().sha256, words.source)
except Exception as error:
    print(type(error).__name__, error)
"""


def read_with_nltk(folder: Path) -> str:
    """In a process of its own, since nltk keeps the first WordNet that it finds."""
    command = [sys.executable, "-W", "ignore", "-c", READ_WITH_NLTK, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_missing_nltk_corpus_says_how_to_get_it(tmp_path: Path):
    said = read_with_nltk(tmp_path)
    assert said.startswith("CorpusError nltk cannot read its WordNet: Resource 'wordnet' not found. Get it")
    assert "python -m nltk.downloader wordnet" in said


@pytest.mark.slow  # 20 s
@needs_system
def test_nltk_gives_the_frozen_words(tmp_path: Path):
    folder = tmp_path / "corpora" / "wordnet"
    folder.mkdir(parents=True, mode=0o700)
    for file in SYSTEM.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o600)  # nltk refuses what a group may write
    (folder / "lexnames").write_text("".join(f"{at:02d}\t{name}\t0\n" for at, name in enumerate(LEXNAMES)))
    (folder / "index.sense").touch()  # looked for, not read
    printed = f"{SHA256['noun+adj']} {ALL_DUPLICATES_SHA256} WordNet 3.0, nltk, {folder}\n"
    assert read_with_nltk(tmp_path) == printed


@pytest.mark.parametrize("wrong", [{"parts": "verb"}, {"source": "web"}, {"lemmas": "last"}])
def test_an_unknown_choice_lists_the_known_ones(wrong: dict[str, str]):
    with pytest.raises(CorpusError, match="expected one of"):
        WordNet(**wrong).load()  # type: ignore[arg-type]
