"""A corpus less a stop list."""

import logging

import pytest
from listed_corpus import Listed, write

from ood_lightning.corpora.without import Without
from ood_lightning.errors import CorpusError


def test_a_stop_list_is_taken_out(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    stop = write("stop.txt", "TIT\n\nnobody\ntit\n")
    words = Without(Listed(("crane", "Tit", "owl"), ("noun", "noun", "adj")), stop).load()
    assert (words.words, words.parts, words.name) == (("crane", "owl"), ("noun", "adj"), "listed_without_stop")
    assert "listed: 1 words left out, 1 of stop.txt are not in it" in caplog.text
    with pytest.raises(CorpusError, match=r"no word that stop\.txt does not list"):
        Without(Listed(("tit",)), stop).load()
