"""Spellings that are one text, and texts that are no names."""

import pytest

from ood_lightning.spelling import first_synonym, folded, is_id, is_number, one_text, synonyms, synset_of


@pytest.mark.parametrize("text", ["coffee mug", "coffee  mug", "coffee\u00a0mug", " coffee\u2009\tmug\u3000"])
def test_blanks_of_every_kind_are_one(text: str):
    assert one_text(text) == "coffee mug"


def test_composed_and_decomposed_letters_are_one_text():
    assert one_text("cafe\u0301") == one_text("caf\u00e9") == "caf\u00e9"
    assert folded("CAFE\u0301 ") == "caf\u00e9"


@pytest.mark.parametrize(
    ("line", "name", "synset"),
    [
        ("n01440764 tench, Tinca tinca", "tench", "n01440764"),
        ("n01443537  goldfish", "goldfish", "n01443537"),
        ("n01440764: tench, Tinca tinca", "tench", "n01440764"),
        ("tench, Tinca tinca", "tench, Tinca tinca", ""),
        ("n01440764", "n01440764", ""),
        ("nine lives", "nine lives", ""),
    ],
)
def test_a_line_of_imagenets_list_is_its_first_synonym(line: str, name: str, synset: str):
    assert (first_synonym(line), synset_of(line)) == (name, synset)


def test_ids_and_numbers_are_told_from_words():
    assert all(map(is_id, ["n01440764", "a00001740", "/m/0bt9lr"]))
    assert not any(map(is_id, ["tench", "n95", "747", "m/s"]))
    assert all(map(is_number, ["7", "0012", "-1", "3.0"]))
    assert not any(map(is_number, ["seven", "7up", "n7"]))


def test_synonyms_do_not_depend_on_case_or_underscores():
    assert synonyms("Great_White Shark, Jaws") == {"great white shark, jaws", "great white shark", "jaws"}
    assert synonyms("Straße") == synonyms("STRASSE")
