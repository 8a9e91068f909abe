"""Mined words compared with true names."""

import pytest

from ood_lightning.functional.overlap import overlap


def test_overlap_precision_and_f1_are_of_sets_without_case():
    result = overlap(["Cat", "dog", "DOG ", "oak"], ["cat", "horse", "Cat", "Dog", "cow"])
    assert (result.mined, result.names, result.hits) == (3, 4, 2)
    assert result.overlap == 2 / 4
    assert result.precision == 2 / 3
    assert result.f1 == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))


def test_nothing_in_common_is_zero_and_equal_sets_are_one():
    assert overlap(["a"], ["b"])[2] == overlap(["a"], ["b"]).f1 == 0
    same = overlap(["a", "b"], ["B", "A"])
    assert same.overlap == same.precision == same.f1 == 1


def test_the_papers_table_is_consistent_with_sets_of_the_stated_size():
    # overlap 76.0 % of 998 names, precision 49.6 %: F1 60.0 %, about 1,530 words
    names = [f"n{i}" for i in range(998)]
    result = overlap([*names[:758], *(f"w{i}" for i in range(1530 - 758))], names)
    assert [round(100 * v, 1) for v in (result.overlap, result.precision, result.f1)] == [76.0, 49.5, 60.0]


def test_an_empty_side_is_refused():
    with pytest.raises(ValueError, match="0 mined words and 1 names"):
        overlap([], ["a"])
