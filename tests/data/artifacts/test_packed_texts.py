"""Packed texts behave as a list of the same texts does."""

import tracemalloc

import pytest

from ood_lightning.data.artifacts.packed_texts import PackedTexts

TEXTS = ["n01/ILSVRC_1", "", "Grün", "a\nb", "日本", "", "z"]


def test_texts_come_back_by_number_from_either_end_in_slices_and_in_order():
    packed = PackedTexts(TEXTS)
    assert list(packed) == TEXTS
    assert [packed[i] for i in range(-7, 7)] == TEXTS * 2
    assert packed[1:6:2] == TEXTS[1:6:2]
    assert packed[::-1] == TEXTS[::-1]
    assert (len(packed), packed.index("日本"), "Grün" in packed, "x" in packed) == (7, 4, True, False)
    for beyond in (7, -8):
        with pytest.raises(IndexError):
            packed[beyond]


def test_parts_are_joined_in_their_order():
    for cut in range(len(TEXTS) + 1):
        parts = [PackedTexts(TEXTS[:cut]), [], PackedTexts(TEXTS[cut:])]
        assert PackedTexts.joined(parts) == TEXTS
    assert PackedTexts.joined([]) == []


def test_equal_is_what_holds_equal_texts():
    assert PackedTexts(TEXTS) == PackedTexts(iter(TEXTS))
    assert PackedTexts(["ab", "c"]) != PackedTexts(["a", "bc"])
    assert PackedTexts(["a"]) != ["a", "b"]
    assert PackedTexts(["a", "b"]) != "ab"
    assert repr(PackedTexts("abcd")) == "PackedTexts('a', 'b', 'c', ...; 4 in all)"


def test_a_key_takes_its_bytes_and_eight():
    keys = [f"{i:025d}" for i in range(10_000)]
    tracemalloc.start()
    packed = PackedTexts(keys)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert list(packed) == keys
    assert held < 10_000 * (25 + 8) * 1.15
