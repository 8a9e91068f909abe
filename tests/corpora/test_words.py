"""Words and word files: what is refused, the hash, and what is left out of a file."""

import hashlib
import logging
from pathlib import Path

import pytest

from ood_lightning.corpora.words import WordFile, Words, distinct
from ood_lightning.errors import CorpusError


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "birds.txt"
    path.write_bytes(content)
    return str(path)


def test_the_hash_is_that_of_the_words_joined_by_line_feeds():
    words = Words("birds", ("crane", "blue tit", "Käuzchen"), "by hand")
    assert words.sha256 == hashlib.sha256("crane\nblue tit\nKäuzchen".encode()).hexdigest()
    assert len(words) == 3


def test_the_hash_depends_on_the_order_and_not_on_name_or_source():
    words = Words("birds", ("crane", "tit"), "by hand")
    assert words.sha256 == Words("other", ("crane", "tit"), "elsewhere").sha256
    assert words.sha256 != Words("birds", ("tit", "crane"), "by hand").sha256


@pytest.mark.parametrize("word", ["", " tit", "tit ", "blue\ntit", "crane"])
def test_words_refuse_what_two_readers_would_read_differently(word: str):
    with pytest.raises(CorpusError, match="corpus 'birds', word 1"):
        Words("birds", ("crane", word), "by hand")


def test_words_refuse_to_be_none():
    with pytest.raises(CorpusError, match="holds no words"):
        Words("birds", (), "by hand")


def test_distinct_keeps_the_first_of_each():
    assert distinct(["b", "a", "b", "c", "a"]) == ("b", "a", "c")


def test_a_file_is_cleaned_and_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = write(tmp_path, b"\xef\xbb\xbfCrane\r\n\r\n  blue tit \r\ncrane\n\nK\xc3\xa4uzchen\n")
    with caplog.at_level(logging.INFO):
        words = WordFile(path).load()
    assert words.words == ("crane", "blue tit", "käuzchen")
    assert (words.name, words.source) == ("birds", path)
    assert "3 words; left out 2 empty lines and 1 duplicates" in caplog.text


def test_case_is_kept_on_request(tmp_path: Path):
    assert WordFile(write(tmp_path, b"Crane\ncrane"), lower=False).load().words == ("Crane", "crane")


def test_a_last_line_without_line_feed_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        assert WordFile(write(tmp_path, b"crane\ntit")).load().words == ("crane", "tit")
    assert "left out 0 empty lines and 0 duplicates" in caplog.text


def test_other_bytes_than_utf8_are_named_by_file_and_line(tmp_path: Path):
    path = write(tmp_path, "crane\nKäuzchen\n".encode("latin1"))
    with pytest.raises(CorpusError, match=r"birds\.txt, line 2: byte 0xe4 at column 2 is no UTF-8"):
        WordFile(path).load()


@pytest.mark.parametrize("content", [b"", b"\n \n\n", b"\xef\xbb\xbf"])
def test_a_file_without_words_is_named(tmp_path: Path, content: bytes):
    with pytest.raises(CorpusError, match=r"birds\.txt holds no words: write one word or phrase per line"):
        WordFile(write(tmp_path, content)).load()


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"nowhere\.txt does not exist"):
        WordFile(str(tmp_path / "nowhere.txt")).load()
    with pytest.raises(CorpusError, match=r"cannot be read: Is a directory"):
        WordFile(str(tmp_path)).load()


def test_counts_are_part_of_the_hash_where_one_is_not_1():
    plain = Words("birds", ("crane", "tit"), "by hand")
    ones, twice = (Words("birds", ("crane", "tit"), "by hand", counts=counts) for counts in ((1, 1), (1, 2)))
    assert ones == plain
    assert (ones.counts, ones.times, twice.times) == (None, (1, 1), (1, 2))
    assert ones.sha256 == plain.sha256
    assert twice.sha256 == hashlib.sha256(b"crane\ntit\n\n1 2").hexdigest()
    assert len(twice) == 2


@pytest.mark.parametrize(
    ("counts", "words"), [((1,), "1 counts, the smallest 1"), ((2, 0), "2 counts, the smallest 0")]
)
def test_counts_are_one_or_more_a_word(counts: tuple[int, ...], words: str):
    with pytest.raises(CorpusError, match=f"has 2 words and {words}: expected one of 1 or more a word"):
        Words("birds", ("crane", "tit"), "by hand", counts=counts)


def test_parts_of_speech_come_one_a_word():
    with pytest.raises(CorpusError, match="has 2 words and 1 parts of speech"):
        Words("two", ("crane", "red"), "a test", parts=("noun",))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_of_any_editor_hold_the_same_words(end: str, tmp_path: Path):
    (tmp_path / "w.txt").write_bytes(f"\ufeffcrane{end}{end} sand\u2028castle {end}".encode())
    assert WordFile(str(tmp_path / "w.txt")).load().words == ("crane", "sand castle")


def test_a_file_is_found_by_home_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "w.txt").write_text("crane\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert WordFile("~/w.txt").load().words == WordFile("${HOME}/w.txt").load().words == ("crane",)
