"""A grown corpus: the parent's words in their order, then the accepted ones, which are a model's."""

import json
from pathlib import Path
from typing import Any

import pytest
from listed_corpus import Listed

from ood_lightning.corpora.grown import FORMAT, Grown
from ood_lightning.corpora.union import Union
from ood_lightning.corpora.without import Without
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import CorpusError

PARENT = Listed(("horse", "wild"), ("noun", "adj"))


def grown_file(path: Path, **other: Any) -> str:
    content = {
        "format": FORMAT,
        "parent": {"name": "listed", "words": 2, "sha256": PARENT.load().sha256},
        "accepted": [
            {"word": "zebra", "group": 3, "origin": "model"},
            {"word": "okapi", "group": 3, "origin": "person"},
        ],
        "refused": ["mule"],
        "model": "tiny",
        "replies": [{"group": 3, "question": "?", "answer": "zebra"}],
        "pictures": {"fingerprint": "f", "encoder": "e"},
        "judgement": {},
    }

    path.write_text(json.dumps(content | other))
    return str(path)


def test_words_are_added_at_the_end_as_nouns(tmp_path: Path):
    words = Grown(PARENT, grown_file(tmp_path / "grown.json")).load()
    assert words.words == ("horse", "wild", "zebra", "okapi")
    assert words.parts == ("noun", "adj", "noun", "noun")
    assert words.name == "listed_grown"
    assert words.supervision == ("llm",)


def test_corpora_made_of_it_say_so_too(tmp_path: Path):
    grown = Grown(PARENT, grown_file(tmp_path / "grown.json"))
    (tmp_path / "stop.txt").write_text("horse\n")
    assert Union([Listed(("a",)), grown]).load().supervision == ("llm",)
    assert Without(grown, str(tmp_path / "stop.txt")).load().supervision == ("llm",)
    assert PARENT.load().supervision == ()


def test_a_label_set_of_it_declares_the_model(tmp_path: Path):
    corpus = {"name": "listed_grown", "supervision": ["llm"]}
    label_set = LabelSet((Positive("zebra"),), None, {"corpus": corpus, "supervision": ["id_images"]})
    assert label_set.supervision == ("id_images", "llm")


def test_another_parent_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"was grown from listed .* name the one that it was grown from"):
        Grown(Listed(("horse",)), grown_file(tmp_path / "grown.json")).load()


@pytest.mark.parametrize("other", [{"accepted": 3}, {"format": "x"}, {"more": 1}])
def test_a_damaged_file_is_refused(tmp_path: Path, other: dict[str, Any]):
    with pytest.raises(CorpusError, match=r"grown\.json"):
        Grown(PARENT, grown_file(tmp_path / "grown.json", **other)).load()
