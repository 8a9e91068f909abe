"""Words from a column of a table: delimiters, encodings, and what is refused."""

import logging
from pathlib import Path

import pytest
from listed_corpus import write

from ood_lightning.corpora.table import TableColumn
from ood_lightning.corpora.words import WordFile
from ood_lightning.errors import CorpusError


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
        (b"id,word\n1,a\n2,K\xe4uzchen\n", r"line 3: byte 0xe4 at column 4 is no UTF-8"),
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


def test_words_of_any_language_are_read_as_they_are():
    path = write("words.txt", "Käuzchen\n鶴\nсова\nŞahin\nبومة\nΑΕΤΌΣ\n")
    assert WordFile(path, lower=False).load().words == ("Käuzchen", "鶴", "сова", "Şahin", "بومة", "ΑΕΤΌΣ")
    table = write("t.tsv", "wort\n" + Path(path).read_text(encoding="utf-8"))
    assert TableColumn(table, "wort").load().words == WordFile(path).load().words
