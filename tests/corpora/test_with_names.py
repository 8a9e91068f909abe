"""True names added to a corpus."""

import logging

import pytest
import torch
from listed_corpus import Listed, write

from ood_lightning.corpora.with_names import WithNames
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.similarity import top_k, unit


def test_names_are_appended_where_they_are_missing(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    names = write("names.txt", "Tench\ncrane\nGreat white Shark\nCrane\n")
    words = WithNames(Listed(("tit", "crane"), ("noun", "noun")), names).load()
    assert words.words == ("tit", "crane", "tench", "great white shark")
    assert words.parts == ("noun",) * 4
    assert words.name == "listed_with_names"
    assert "2 words of listed and 2 of names; 1 were there before" in caplog.text

    assert WithNames(Listed(("tit",)), names, lower=False).load().words == (
        "tit",
        "Tench",
        "crane",
        "Great white Shark",
    )
    with pytest.raises(LabelSetError, match=r"names none\.txt does not exist"):
        WithNames(Listed(("tit",)), "none.txt").load()


def test_adding_names_changes_an_images_word_only_to_a_name():
    generator = torch.Generator().manual_seed(0)
    corpus = Listed(tuple("abcdefgh"))
    words = WithNames(corpus, write("names.txt", "x\nc\ny\n")).load()
    texts = unit(torch.randn(len(words), 4, generator=generator))
    images = unit(torch.randn(200, 4, generator=generator))

    before = top_k(images, texts[: len(corpus.words)], 1)
    after = top_k(images, texts, 1)
    moved = (before.indices != after.indices)[:, 0]
    assert 0 < moved.sum() < 200
    assert {words.words[row] for row in after.indices[moved, 0].tolist()} == {"x", "y"}
    assert (after.values[moved] > before.values[moved]).all()
