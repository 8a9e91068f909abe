"""The one way in for plain data: an object of the stated type, or an error that names file and field."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from ood_lightning.data.artifacts.typed import STRICT, decode_json, decode_plain
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
        ("[]", "f.json: the whole document is .*"),
        ('{"role": "id"}', "f.json: parts is missing"),
        ('{"role": "id", "parts": [], "more": 1}', "f.json: more is a key that nothing here knows"),
        ('{"role": "maybe", "parts": []}', "f.json: role is 'maybe': input should be 'id' or 'ood'"),
        ('{"role": "id", "parts": [{"path": "a"}, {"path": 5}]}', "f.json: parts.1.path is 5: input should be a valid"),
        ('{"role": "id", "parts": [{"path": "a", "count": "5"}]}', "f.json: parts.0.count is '5': .* valid integer"),
        ('{"role": "id", "parts": [{"path": "a", "count": true}]}', "f.json: parts.0.count is True: .*integer"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(text: str, words: str):
    with pytest.raises(ManifestError, match=f"^{words}"):
        decode_json(text, Whole, "f.json", ManifestError)


def test_a_document_too_deep_for_the_reader_is_an_error_too():
    with pytest.raises(ManifestError, match=r"^f\.json is not readable as JSON"):
        decode_json("[" * 100_000, Whole, "f.json", ManifestError)
