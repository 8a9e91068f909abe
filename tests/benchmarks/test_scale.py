"""The calculated tables of docs/scale.md are those that the script prints."""

from pathlib import Path

from benchmarks.scale import duration, flops, size, tables

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_page_shows_what_is_calculated():
    assert tables() in PAGE.read_text(encoding="utf-8")


def test_numbers_are_written_in_three_digits_and_a_unit():
    assert [size(999), size(2_048_000), flops(2.05e21)] == ["999 B", "2.05 MB", "2.05 ZFLOP"]
    assert [duration(1.26), duration(90), duration(600), duration(7300)] == ["1.3 s", "90 s", "10 min", "2 h"]
    assert [duration(3 * 86_400), duration(3 * 365 * 86_400)] == ["3 days", "3 years"]
