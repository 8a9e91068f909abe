"""What may be a picture by its name."""

import pytest

from ood_lightning.data.shards.formats import ENDINGS, UNREAD, may_be_picture


@pytest.mark.parametrize("ending", [ending for endings in (*ENDINGS.values(), UNREAD) for ending in endings])
def test_every_ending_in_any_case_may_be_a_picture(ending: str):
    assert may_be_picture(f"a.b/c.d.{ending}")
    assert may_be_picture(f"X.{ending.upper()}")
    assert not may_be_picture(f"a/._c.{ending}")
    assert not may_be_picture(f"__MACOSX/c.{ending}")


def test_formats_that_nothing_here_reads_are_named_and_not_passed_over():
    assert may_be_picture("0.jxl")
    assert may_be_picture("0.hif")


@pytest.mark.parametrize("name", ["notes.txt", "jpg", "a.jpg/b", "a.png.part", ""])
def test_other_names_are_none(name: str):
    assert not may_be_picture(name)
