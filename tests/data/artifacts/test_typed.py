"""The one way in for plain data: an object of the stated type, or an error that names file and field."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal

import pytest

from ood_lightning.data.artifacts.typed import STRICT, Count, Share, decode_json, decode_plain
from ood_lightning.errors import ManifestError


@dataclass(frozen=True)
class Part:
    __pydantic_config__: ClassVar = STRICT

    path: str
    count: int = 0


@dataclass(frozen=True)
class Whole:
    __pydantic_config__: ClassVar = STRICT

    role: Literal["id", "ood"]
    parts: tuple[Part, ...]


def test_lists_become_tuples_and_defaults_stay():
    whole = decode_json('{"role": "id", "parts": [{"path": "a"}]}', Whole, "f.json", ManifestError)
    assert whole == Whole("id", (Part("a", 0),))
    assert decode_plain({"role": "id", "parts": [{"path": "a"}]}, Whole, "f.yaml", ManifestError) == whole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "f.json is not readable as JSON"),
        ('{"role": "id", "role": "ood", "parts": []}', "f.json is not readable as JSON: the key 'role' comes twice"),
        (b"\xff", "f.json is not readable as JSON: 'utf-8' codec can't decode"),
        ("[]", "f.json: the whole document is .*"),
        ('{"role": "id"}', "f.json: parts is missing"),
        ('{"role": "id", "parts": [], "more": 1}', "f.json: more is a key that nothing here knows"),
        ('{"role": "maybe", "parts": []}', "f.json: role is 'maybe': input should be 'id' or 'ood'"),
        ('{"role": "id", "parts": [{"path": "a"}, {"path": 5}]}', "f.json: parts.1.path is 5: input should be a valid"),
        ('{"role": "id", "parts": [{"path": "a", "count": "5"}]}', "f.json: parts.0.count is '5': .* valid integer"),
        ('{"role": "id", "parts": [{"path": "a", "count": true}]}', "f.json: parts.0.count is True: .*integer"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(text: str | bytes, words: str):
    with pytest.raises(ManifestError, match=f"^{words}"):
        decode_json(text, Whole, "f.json", ManifestError)


def test_a_document_too_deep_for_the_reader_is_an_error_too():
    with pytest.raises(ManifestError, match=r"^f\.json is not readable as JSON"):
        decode_json("[" * 100_000, Whole, "f.json", ManifestError)


@dataclass(frozen=True)
class Numbers:
    count: Count
    share: Share


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"count": -1, "share": 0}, "count is -1: input should be greater than or equal to 0"),
        ({"count": 0, "share": 1.01}, "share is 1.01: input should be less than or equal to 1"),
        ({"count": 0, "share": float("nan")}, "share is nan"),
        ({"count": 0, date(2026, 1, 1): 0}, "f.yaml holds what is no plain data: keys must be str"),
    ],
)
def test_numbers_out_of_range_and_what_is_no_plain_data(content: dict[object, object], words: str):
    assert decode_plain({"count": 0, "share": 1}, Numbers, "f.yaml", ManifestError) == Numbers(0, 1.0)
    with pytest.raises(ManifestError, match=words):
        decode_plain(content, Numbers, "f.yaml", ManifestError)
