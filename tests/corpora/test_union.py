"""ImageNet-21K, tables, and corpora made of corpora."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ood_lightning.corpora import imagenet21k
from ood_lightning.corpora.imagenet21k import EXPECTED, ImageNet21K
from ood_lightning.corpora.part_of_speech import PartOfSpeech
from ood_lightning.corpora.table import TableColumn
from ood_lightning.corpora.union import Union
from ood_lightning.corpora.with_names import WithNames
from ood_lightning.corpora.without import Without
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.corpora.words import Corpus, Part, WordFile, Words
from ood_lightning.errors import CorpusError, LabelSetError
from ood_lightning.functional.similarity import top_k, unit


@dataclass(frozen=True)
class Listed(Corpus):
    words: tuple[str, ...]
    parts: tuple[Part, ...] | None = None

    def load(self) -> Words:
        return Words("listed", self.words, "a test", self.parts)


def write(name: str, text: str | bytes) -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


@pytest.mark.parametrize(("subset", "lemmas"), EXPECTED)
def test_imagenet21k_has_the_stated_number_of_names(subset: str, lemmas: str, caplog: pytest.LogCaptureFixture):
    words = ImageNet21K(subset, lemmas).load()  # type: ignore[arg-type]
    assert len(words) == EXPECTED[subset, lemmas]  # type: ignore[index]
    assert not caplog.records
    assert not [w for w in words.words if "_" in w or w != w.lower() or w != " ".join(w.split())]
    assert words.parts == ("noun",) * len(words)


def test_imagenet21k_is_named_by_wordnets_nouns_and_its_subsets_lie_inside():
    full, nouns = set(ImageNet21K().load().words), set(WordNet("noun").load().words)
    assert full <= nouns
    for subset in ("fall11-p", "winter21-p"):
        assert set(ImageNet21K(subset).load().words) <= full
    assert ImageNet21K("winter21-p", "all").load().name == "imagenet21k_winter21p_all"
    assert {"tench", "tiger cat", "organism"} <= full


def test_other_tables_of_imagenet21k_are_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setitem(imagenet21k.EXPECTED, ("full", "first"), 7)
    ImageNet21K().load()
    assert "give 20068 words, 7 were expected" in caplog.text
    monkeypatch.setitem(imagenet21k.SYNSETS, "full", "none.txt")
    with pytest.raises(CorpusError, match=r"cannot read timm's table .*none\.txt"):
        ImageNet21K().load()
    monkeypatch.setattr(imagenet21k, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="timm, which is not installed"):
        ImageNet21K().load()
    with pytest.raises(CorpusError, match="expected one of full, fall11-p, winter21-p"):
        ImageNet21K("half")  # type: ignore[arg-type]


def test_names_of_imagenet21k_are_read_without_importing_timm_or_torch():
    code = (
        "import sys; from ood_lightning.corpora.imagenet21k import ImageNet21K; "
        "ImageNet21K().load(); sys.exit(bool({'timm', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_column_is_read_in_order_and_what_is_left_out_is_counted(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    path = write(
        "t.csv", '\ufeffid, word ,note\n1,Crane,x\n2,"blue  tit ",y\n\n3,,z\n4,crane,"a, ""b"""\n5,Käuzchen,\n'
    )
    words = TableColumn(path, "word").load()
    assert words.words == ("crane", "blue tit", "käuzchen")
    assert "3 words; left out 2 empty cells and 1 duplicates" in caplog.text
    assert TableColumn(path, "word", lower=False).load().words == ("Crane", "blue tit", "crane", "Käuzchen")
    assert words.parts is None


@pytest.mark.parametrize(
    ("name", "delimiter", "between"), [("t.tsv", None, "\t"), ("t.tab", None, "\t"), ("t.csv", ";", ";")]
)
def test_other_delimiters(name: str, delimiter: str | None, between: str):
    path = write(name, f"a{between}b\r\n1{between}x, y\r\n2{between}z\r\n")
    assert TableColumn(path, "b", delimiter).load().words == ("x, y", "z")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,term\n1,x\n", r"has no column 'word'; its header names 'id', 'term'"),
        ("word,word\n1,x\n", r"has 2 columns 'word'"),
        ("", r"has no column 'word'; its header names none"),
        ("id,word\n1,x\n2,y,z\n", r"t\.csv, line 3: 3 cells, the header has 2"),
        ("id,word\n1\n", r"line 2: 1 cells, the header has 2"),
        ("id,word\n1,\n\n", r"holds no words"),
        (b"id,word\n1,a\n2,K\xe4uzchen\n", r"line 3: byte 0xe4 is no UTF-8"),
        ('id,word\n1,"open\n', r"line 2: unexpected end of data"),
    ],
)
def test_tables_that_cannot_be_read_say_where_and_why(content: str | bytes, words: str):
    with pytest.raises(CorpusError, match=words):
        TableColumn(write("t.csv", content), "word").load()


def test_places_and_delimiters_that_cannot_be():
    with pytest.raises(CorpusError, match=r"none\.csv does not exist"):
        TableColumn("none.csv", "word").load()
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        TableColumn(".", "word").load()
    with pytest.raises(CorpusError, match="delimiter '::': expected one character"):
        TableColumn(write("t.csv", "word\nx\n"), "word", "::").load()


TAGGED = (
    "index,word,pos_tag\n0,Blue,JJ\n1,crane,NN\n2,cranes,NNS\n3,run,VB\n4,null,NN\n5,blue,NN\n6,bluer,JJR\n7,nan,NN\n"
)


def test_a_part_of_speech_table_gives_nouns_then_adjectives(caplog: pytest.LogCaptureFixture):
    path = write("pos.csv", TAGGED)
    both, nouns = PartOfSpeech(path).load(), PartOfSpeech(path, "noun").load()
    assert nouns.words == ("crane", "null", "blue", "nan")
    assert (both.words, both.name, nouns.name) == (nouns.words, "pos_na", "pos_n")  # blue stays a noun
    assert "gives 4 words (noun); the table of ClusterMine's paper gives 230960" in caplog.text
    more = PartOfSpeech(write("pos.csv", f"{TAGGED}8,tall,JJ\n")).load()
    assert more.words[-1] == "tall"
    assert more.parts == ("noun",) * 4 + ("adj",)
    with pytest.raises(CorpusError, match="has no column 'pos_tag'"):
        PartOfSpeech(write("pos.csv", "word,tag\nx,NN\n")).load()
    with pytest.raises(CorpusError, match=r"expected one of noun, noun\+adj"):
        PartOfSpeech(path, "adj")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_full_part_of_speech_table_is_not_warned_about(caplog: pytest.LogCaptureFixture):
    rows = [f"{i},n{i},NN" for i in range(230_960)] + [f"{i},a{i},JJ" for i in range(39_206)]
    path = write("pos.csv", "index,word,pos_tag\n" + "\n".join(rows) + "\n")
    assert len(PartOfSpeech(path, "noun").load()) == 230_960
    assert len(PartOfSpeech(path).load()) == 270_166
    assert not caplog.records


def test_a_union_keeps_the_first_corpus_and_appends_what_is_new():
    a, b = Listed(("Crane", "tit"), ("noun", "noun")), Listed(("tall", "crane", "owl"), ("adj", "noun", "noun"))
    found = Union([a, b, Listed(("owl", "tall", "red"), ("noun", "adj", "adj"))]).load()
    assert found.words == ("Crane", "tit", "tall", "owl", "red")
    assert found.parts == ("noun", "noun", "adj", "noun", "adj")
    assert found.name == "listed+listed+listed"
    assert Union([a, Listed(("owl",))]).load().parts is None
    assert Union([a]).load() == a.load()
    with pytest.raises(CorpusError, match="union of no corpora"):
        Union([]).load()


def test_names_are_appended_where_they_are_missing(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    names = write("names.txt", "Tench\ncrane\nGreat white Shark\nCrane\n")
    found = WithNames(Listed(("tit", "crane"), ("noun", "noun")), names).load()
    assert found.words == ("tit", "crane", "tench", "great white shark")
    assert found.parts == ("noun",) * 4
    assert found.name == "listed_with_names"
    assert "2 words of listed and 2 of names; 1 were there before" in caplog.text
    assert WithNames(Listed(("tit",)), names, lower=False).load().words == (
        "tit",
        "Tench",
        "crane",
        "Great white Shark",
    )
    with pytest.raises(LabelSetError, match=r"names none\.txt cannot be read"):
        WithNames(Listed(("tit",)), "none.txt").load()


def test_adding_names_changes_an_images_word_only_to_a_name():
    generator = torch.Generator().manual_seed(0)
    corpus = Listed(tuple("abcdefgh"))
    found = WithNames(corpus, write("names.txt", "x\nc\ny\n")).load()
    texts = unit(torch.randn(len(found), 4, generator=generator))
    images = unit(torch.randn(200, 4, generator=generator))
    before = top_k(images, texts[: len(corpus.words)], 1)
    after = top_k(images, texts, 1)
    moved = (before.indices != after.indices)[:, 0]
    assert 0 < moved.sum() < 200
    assert {found.words[row] for row in after.indices[moved, 0].tolist()} == {"x", "y"}
    assert (after.values[moved] > before.values[moved]).all()


def test_a_stop_list_is_taken_out(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    stop = write("stop.txt", "TIT\n\nnobody\ntit\n")
    found = Without(Listed(("crane", "Tit", "owl"), ("noun", "noun", "adj")), stop).load()
    assert (found.words, found.parts, found.name) == (("crane", "owl"), ("noun", "adj"), "listed_without_stop")
    assert "listed: 1 words left out, 1 of stop.txt are not in it" in caplog.text
    with pytest.raises(CorpusError, match=r"no word that stop\.txt does not list"):
        Without(Listed(("tit",)), stop).load()


def test_words_of_any_language_are_read_as_they_are():
    path = write("words.txt", "Käuzchen\n鶴\nсова\nŞahin\nبومة\nΑΕΤΌΣ\n")
    assert WordFile(path, lower=False).load().words == ("Käuzchen", "鶴", "сова", "Şahin", "بومة", "ΑΕΤΌΣ")
    table = write("t.tsv", "wort\n" + Path(path).read_text(encoding="utf-8"))
    assert TableColumn(table, "wort").load().words == WordFile(path).load().words
