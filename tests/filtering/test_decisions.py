"""The file of decisions: one JSON line each, and a damaged line is named with its field."""

import json
from pathlib import Path

import pytest

from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, JudgeError, Question

LINE = '{"judge": "oracle", "word": "a", "name": null, "yes": true}'


def test_what_is_added_is_read_again(tmp_path: Path):
    path = tmp_path / "decisions.jsonl"
    decided = [
        (Question("a"), Answer(True)),
        (Question("b", "c"), Answer(False, "No", -1.5)),
        (Question("d"), Answer(True, margin=2.0, mass=0.25, tokens=9)),
    ]
    Decisions(path).add("oracle", decided)
    assert Decisions(path).known == {"oracle": dict(decided)}


def test_a_decision_takes_one_json_line(tmp_path: Path):
    Decisions(tmp_path / "d.jsonl").add("x", [(Question("été", "b"), Answer(False, margin=-2.0, tokens=7))])
    line = (tmp_path / "d.jsonl").read_text()
    assert json.loads(line) == {"judge": "x", "word": "été", "name": "b", "yes": False, "margin": -2.0, "tokens": 7}


def test_an_unfinished_line_is_cut_off_once_more_decisions_come(tmp_path: Path):
    path = tmp_path / "d.jsonl"
    path.write_bytes(f"{LINE}\n".encode() + '{"word": "é'.encode()[:-1])  # within a letter of two bytes
    decisions = Decisions(path)
    assert list(decisions.known["oracle"]) == [Question("a")]

    decisions.add("oracle", [(Question("b"), Answer(True))])
    decisions.add("oracle", [(Question("c"), Answer(True))])
    assert [json.loads(line)["word"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}", "yes is missing (and 2 more)"),
        (LINE.replace("true", '"maybe"').encode(), "yes is 'maybe': input should be a valid boolean"),
        (LINE.replace("null", "7").encode(), "name is 7: input should be a valid string"),
        (LINE.replace("word", "wrod").encode(), "word is missing"),
        (LINE.replace("}", ', "tokens": "5"}').encode(), "tokens is '5': input should be a valid integer"),
        (LINE.replace("}", ', "mess": 0.5}').encode(), "mess is a key that nothing here knows"),
        (b"[]", "the whole document is []: input should be an object"),
        (b"yes", "is not readable as JSON"),
        (LINE.encode("latin-1").replace(b'"a"', b'"\xe9"'), "input should be a valid string"),
    ],
)
def test_a_damaged_line_is_named_with_its_field(tmp_path: Path, line: bytes, words: str):
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(f"{LINE}\n{LINE}\n".encode() + line + b"\n")
    with pytest.raises(JudgeError) as error:
        Decisions(path)
    assert str(error.value).startswith(f"{path}, line 3")
    assert words in str(error.value)
    assert str(error.value).endswith(". Delete the line; its question is then asked again.")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(JudgeError, match=rf"^{tmp_path} cannot be read: Is a directory"):
        Decisions(tmp_path)
