"""CSV: a spreadsheet takes no text for a formula, and our reader gives every text back."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ood_lightning.data.artifacts.sheets import as_cell, csv_bytes, csv_rows, from_cell

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1")
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(r"\A'*[=+\-@\t\r\n']+.*", fullmatch=True)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]))
@example(["'=1", "''=1", "'", "'tis", "-"], "\n")
@example(["a\rb", 'a"b', "a,b", "a\r\nb"], "\n")
def test_every_text_comes_back(texts: list[str], line_end: str):
    columns = [f"{i}{text}" for i, text in enumerate(texts)]
    written = csv_bytes([columns, texts], line_end)
    assert csv_rows(written.decode()) == [dict(zip(columns, texts, strict=True))]


@given(TEXTS)
@example("=")
def test_no_text_begins_as_a_formula(text: str):
    assert str(as_cell(text))[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    assert from_cell(str(as_cell(text))) == text


@pytest.mark.parametrize("text", FORMULAS)
def test_an_apostrophe_stands_before_it_also_in_the_header(text: str):
    ((column, cell),) = csv.DictReader(io.StringIO(csv_bytes([[text], [text]]).decode(), newline="")).__next__().items()
    assert column == cell == f"'{text}"


def test_numbers_and_missing_cells_have_none():
    assert csv_bytes([["a", "b", "c", "d"], [-0.5, None, -3, True]], "\n") == b"a,b,c,d\n-0.5,,-3,True\n"


def test_a_byte_that_is_no_utf8_is_spelt_out():
    assert csv_bytes([["caf\udce9"]], "\n") == b"caf\\udce9\n"


def test_what_is_no_csv_is_refused():
    with pytest.raises(ValueError, match="expected after"):
        csv_rows('a\n"b"c\n')
