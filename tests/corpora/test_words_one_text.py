"""Words that are one text to a tokenizer count once, wherever words are read."""

import logging
import unicodedata
from pathlib import Path

import pytest

from ood_lightning.corpora.lexicographer import LexicographerFolder
from ood_lightning.corpora.table import TableColumn
from ood_lightning.corpora.words import Corpus, WordFile

CAFE = unicodedata.normalize("NFD", "café")
TEXTS = ("coffee mug", "coffee  mug", "coffee\u00a0mug", "café", CAFE, "tea")


@pytest.mark.parametrize("corpus", [WordFile("words.txt", lower=False), TableColumn("words.csv", "word", lower=False)])
def test_blanks_and_composed_letters(corpus: Corpus):
    Path("words.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    Path("words.csv").write_text("\n".join(["word", *TEXTS]), encoding="utf-8")
    assert corpus.load().words == ("coffee mug", "café", "tea")


def test_underscores_that_become_blanks():
    Path("lists").mkdir()
    Path("lists/noun.food.txt").write_text("hot__dog\nhot dog\n")
    assert LexicographerFolder("lists", spaces=True).load().words == ("hot dog",)


def test_lines_of_imagenets_list_are_words_by_their_first_synonym(caplog: pytest.LogCaptureFixture):
    Path("words.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\ntench\n")
    with caplog.at_level(logging.WARNING):
        assert WordFile("words.txt").load().words == ("tench", "goldfish")
    assert "2 lines are of ImageNet's list of synsets" in caplog.text
