"""Texts in a file: what is looked up, and which files are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from ood_lightning.detectors.image_texts import ImageTextError, StreamImage
from ood_lightning.detectors.stored_texts import StoredTexts, TextsFile

CAT, DOG = (StreamImage("pets", key, bytes) for key in ("a/cat", "b/dog"))
LINES: list[dict[str, Any]] = [
    {"set": "pets", "image": "a/cat", "sentence": "a grey cat"},
    {"model": "two", "set": "pets", "image": "a/cat", "sentence": "un chat gris"},
    {"name": "cat", "labels": ["lynx", "ocelot"]},
    {"model": "two", "name": "fox", "labels": []},
]


def written(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_what_the_file_does_not_hold_is_not_there(tmp_path: Path):
    path = str(written(tmp_path / "t.jsonl", LINES))
    texts = StoredTexts(path)
    assert texts.describe([CAT, DOG, StreamImage("others", "a/cat", bytes)]) == ["un chat gris", "", ""]
    assert texts.look_alikes(["cat", "fox", "bee"]) == [["lynx", "ocelot"], [], []]
    assert StoredTexts(path, model="two").look_alikes(["cat"]) == [[]]
    assert StoredTexts(path, model="").describe([CAT]) == ["a grey cat"]


def test_what_is_added_is_read_again_behind_an_unfinished_line(tmp_path: Path):
    path = written(tmp_path / "deep" / "t.jsonl", LINES) if (tmp_path / "deep").mkdir() is None else tmp_path
    with path.open("a") as file:
        file.write('{"set": "pets", "ima')
    file_of_two = TextsFile(path, "two")
    file_of_two.add_sentence(DOG, "ein Hund\nund \u2028 mehr")
    file_of_two.add_labels("bee", ["wasp"])

    again = TextsFile(path, "two")
    assert again.sentences == file_of_two.sentences
    assert again.labels == file_of_two.labels == {"fox": (), "bee": ("wasp",)}
    assert again.sentences["pets", "b/dog"] == "ein Hund\nund \u2028 mehr"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "line 5 is not readable as JSON"),
        ({"set": "pets", "image": "a"}, "line 5: expected `set`, `image` and `sentence`, or `name` and `labels`"),
        ({"set": "p", "image": "a", "sentence": "s", "name": "x"}, "line 5: expected `set`"),
        ({"name": "x", "labels": "lynx"}, "line 5: labels is 'lynx'"),
        ({"class": "x", "labels": []}, "line 5: class is a key that nothing here knows"),
        ({}, "line 5: expected `set`"),
    ],
)
def test_lines_that_are_neither_are_refused(tmp_path: Path, line: Any, words: str):
    texts = StoredTexts(str(written(tmp_path / "t.jsonl", [*LINES, line])))
    with pytest.raises(ImageTextError, match=words):
        texts.describe([CAT])


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ImageTextError, match=r"there is no file of texts .*none\.jsonl"):
        StoredTexts(str(tmp_path / "none.jsonl")).look_alikes(["cat"])


def test_a_file_is_looked_at_before_work(tmp_path: Path):
    assert (
        StoredTexts(str(written(tmp_path / "t.jsonl", LINES)))
        .check()
        .startswith("1 sentence, and look-alikes of 2 names, in ")
    )
    with pytest.raises(ImageTextError, match="there is no file of texts"):
        StoredTexts(str(tmp_path / "none.jsonl")).check()
