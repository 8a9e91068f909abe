"""The table of benchmarks: every row runs at small sizes, its ways compare the same, and medians are medians."""

import pytest

from benchmarks.__main__ import all_rows, lines, main
from benchmarks.growth import exponent
from benchmarks.rows import Measured, Row, measure


@pytest.mark.slow
def test_ways_alternate_and_are_divided_by_the_first():
    seen: list[str] = []
    ways = {name: lambda name=name: seen.append(name) for name in ("bare", "ours")}
    measured = measure(Row("a", "A", "none", "nothing", "none", lambda: ways, repeats=2))
    assert measured["bare"].ratio == 1
    assert set(measured) == {"bare", "ours"}
    assert seen[:4] == ["bare", "ours", "bare", "ours"]


def test_a_row_takes_one_line_for_each_way():
    row = Row("a", "Title", "D 4", "a product", "ours at most 2", dict)
    measured = {"bare": Measured(1.0, 1.5, 10.0, 1.0, 1.0), "ours": Measured(1.25, 1.5, 2000.0, 1.25, 1.0)}
    first, second = lines(row, measured)
    assert first == "| Title | D 4 | bare | 1.00 | 1.00 | 1 | 1.5 | 10 | a product; ours at most 2 |"
    assert second == "|  |  | ours | 1.25 | 1.00 | 1.25 | 1.5 | 2,000 |  |"


def test_exponents_are_slopes_of_the_logarithms():
    assert exponent([3.0, 6.0, 12.0, 24.0]) == pytest.approx(1)
    assert exponent([3.0, 12.0, 48.0, 192.0]) == pytest.approx(2)
    assert exponent([5.0] * 4) == 0


def test_an_unknown_row_is_named_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.argv", ["benchmarks", "nothing"])
    with pytest.raises(SystemExit):
        main()
    assert "no row nothing; there are " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", list(all_rows(small=True)))
def test_every_row_runs_at_small_sizes(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.rows.SHORTEST_TURN_S", 0.0)
    row = all_rows(small=True)[name]
    measured = measure(row._replace(repeats=1))
    assert len(measured) > 1
    assert any(way.startswith("ours") for way in measured)
    assert next(iter(measured.values())).ratio == 1
