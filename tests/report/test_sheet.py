"""The contact sheet: concepts in reading order, each with its own pictures."""

import pytest
from PIL import Image

from ood_lightning.report.sheet import CELL, GAP, HEAD, PER_CONCEPT, contact_sheet

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 0, 250), (90, 90, 90)]
WIDTH, HEIGHT = PER_CONCEPT[0] * CELL + GAP, HEAD + PER_CONCEPT[1] * CELL + 2 * GAP


def centre(concept: int, picture: int, columns: int) -> tuple[int, int]:
    """Middle of a picture on the sheet."""
    left, top = GAP + concept % columns * WIDTH, GAP + concept // columns * HEIGHT + HEAD
    return left + picture % 3 * CELL + CELL // 2, top + picture // 3 * CELL + CELL // 2


@pytest.mark.parametrize(("concepts", "columns", "rows"), [(1, 6, 1), (6, 6, 1), (7, 6, 2), (4, 2, 2)])
def test_the_sheet_is_as_large_as_its_concepts_need(concepts: int, columns: int, rows: int):
    sheet = contact_sheet([("word", [])] * concepts, columns)
    assert sheet.size == (columns * WIDTH + GAP, rows * HEIGHT + GAP)
    assert sheet.mode == "RGB"


def test_each_picture_stands_in_its_place():
    concepts = [(f"c{i}", [Image.new("RGB", (20 + i, 40), colour)] * (i + 1)) for i, colour in enumerate(COLOURS)]
    sheet = contact_sheet(concepts, columns=3)
    for i, colour in enumerate(COLOURS):
        for j in range(9):
            expected = colour if j <= i else (255, 255, 255)
            assert sheet.getpixel(centre(i, j, 3)) == expected, (i, j)


def test_more_than_nine_pictures_do_not_run_into_the_next_concept():
    pictures = [Image.new("L", (5, 5), 40)] * 30
    sheet = contact_sheet([("many", pictures), ("none", [])], columns=1)
    assert sheet.getpixel(centre(0, 8, 1)) == (40, 40, 40)
    assert sheet.getpixel(centre(1, 0, 1)) == (255, 255, 255)


def test_a_name_is_written_above_and_long_or_foreign_ones_do_no_harm():
    for name in ("dog", "été 猫", "x" * 500):
        head = contact_sheet([(name, [])], columns=1).crop((0, 0, WIDTH, HEAD))
        assert head.convert("L").getextrema()[0] < 100
    assert contact_sheet([("", [])], columns=1).convert("L").getextrema() == (255, 255)
