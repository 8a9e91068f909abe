"""Several corpora as one."""

import pytest
from listed_corpus import Listed

from ood_lightning.corpora.union import Union
from ood_lightning.errors import CorpusError


def test_a_union_keeps_the_first_corpus_and_appends_what_is_new():
    a = Listed(("Crane", "tit"), ("noun", "noun"))
    b = Listed(("tall", "crane", "owl"), ("adj", "noun", "noun"))
    joined = Union([a, b, Listed(("owl", "tall", "red"), ("noun", "adj", "adj"))]).load()
    assert joined.words == ("Crane", "tit", "tall", "owl", "red")
    assert joined.parts == ("noun", "noun", "adj", "noun", "adj")
    assert joined.name == "listed+listed+listed"

    assert Union([a, Listed(("owl",))]).load().parts is None
    assert Union([a]).load() == a.load()
    with pytest.raises(CorpusError, match="union of no corpora"):
        Union([]).load()
