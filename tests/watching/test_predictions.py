"""Where predictions lie, and rows that cannot be used."""

import io
import os
import sys
from pathlib import Path

import pytest
from watched import rows, write_csv, write_lines

from ood_lightning.data.rows.formats import as_bytes, header
from ood_lightning.data.rows.parquet import write_parquet
from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.watching.predictions import Source, predictions, sources_of


def only(path: Path) -> Source:
    (source,) = sources_of([str(path)], "input")
    return source


def test_folders_hold_a_file_or_a_folder_for_each_day(tmp_path: Path):
    for name in ("2026-11-02/b.csv", "2026-11-02/a.jsonl", "2026-11-01.parquet", "2026-11-03/.rows.csv", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [source[:2] for source in sources_of([str(tmp_path)], "input")] == [
        ("2026-11-01/2026-11-01.parquet", "2026-11-01"),
        ("2026-11-02/a.jsonl", "2026-11-02"),
        ("2026-11-02/b.csv", "2026-11-02"),
    ]


def test_names_of_periods_are_spelt_on_one_line(tmp_path: Path):
    for name in (b"caf\xe9\n.csv", rb"a\x.csv"):
        (tmp_path / os.fsdecode(name)).touch()
    assert [source[:2] for source in sources_of([str(tmp_path)], "input")] == [
        (r"a\\x/a\\x.csv", r"a\\x"),
        (r"caf\udce9\n/caf\udce9\n.csv", r"caf\udce9\n"),
    ]


def test_what_is_not_there_or_comes_twice_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="none does not exist"):
        sources_of([str(tmp_path / "none")], "input")
    with pytest.raises(SourceError, match="holds no rows"):
        sources_of([str(tmp_path)], "input")
    write_lines(tmp_path / "a.jsonl", rows(1, 0))
    with pytest.raises(SettingsError, match=r"a/a\.jsonl comes twice"):
        sources_of([str(tmp_path), str(tmp_path / "a.jsonl")], "input")
    with pytest.raises(SettingsError, match="- comes twice"):
        sources_of(["-", "-"], "input")


def test_all_three_forms_are_read_alike_also_names_that_are_no_utf8(tmp_path: Path):
    predicted = rows(30, seed=1)
    predicted[0] |= {"path": "caf\udce9 \x1b[2J,\n.png", "concepts": ["=1+1", "b"]}
    predicted[1] |= {"score": None, "p_value": None, "concepts": [], "path": r"back\slash"}
    for ending in (".csv", ".jsonl"):
        (tmp_path / f"rows{ending}").write_bytes(header(ending, list(predicted[0])) + as_bytes(ending, predicted))
    kinds = dict(zip(predicted[0], (str, float, float, bool, list, str, str), strict=True))
    with (tmp_path / "rows.jsonl").open("rb") as lines:
        write_parquet(tmp_path / "rows.parquet", lines, kinds)

    first, *others = [
        [one._replace(where="") for one in predictions(only(tmp_path / f"rows{ending}"))]
        for ending in (".csv", ".jsonl", ".parquet")
    ]
    assert others == [first, first]
    assert first[0].path == "caf\\udce9 \\x1b[2J,\\n.png"
    assert (first[0].concept, first[1].score) == ("=1+1", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,p_value\na,1\n", "row 2 has no column `score`"),
        ("path,score\na,nan\n", "row 2: score is 'nan', expected a number"),
        ("path,score\na,high\n", "row 2: score is 'high', expected a number"),
        ("path,score\na\n", "row 2 has 1 cells, its header 2"),
        ('path,score\n"a,1\n', "not readable as CSV"),
        ("path,score,time\na,1,yesterday\n", "row 2: time is 'yesterday', expected ISO 8601"),
        ("path,score,time\na,1,2026-11-02\nb,1,2026-11-01\n", "row 3: its day is 2026-11-01, after one of 2026-11-02"),
        ("path,score,time\na,1,2026-11-02\nb,1,\n", "row 3: its day is missing"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(SettingsError, match=words) as refused:
        list(predictions(only(tmp_path / "rows.csv")))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_damaged_files_are_named(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"{\xff\xfe")
    with pytest.raises(SettingsError, match=name):
        list(predictions(only(path)))
    if name == "rows.jsonl":
        for text in ("{", "[1]", "7"):
            path.write_text(text)
            with pytest.raises(SettingsError, match=r"rows\.jsonl, line 1 is"):
                list(predictions(only(path)))


def test_a_number_larger_than_any_float_is_named(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"path": "a", "score": 1' + 400 * "0" + "}")
    with pytest.raises(SettingsError, match=r"line 1: score is '10{39}', expected a number"):
        list(predictions(only(tmp_path / "rows.jsonl")))


def test_line_breaks_of_another_programs_paths_are_spelt(tmp_path: Path):
    (tmp_path / "rows.csv").write_text('path,score,concepts\n"a\nALARM",1,"b\nc|d"\n')
    (row,) = predictions(only(tmp_path / "rows.csv"))
    assert (row.path, row.concept) == (r"a\nALARM", r"b\nc")


def test_standard_input_that_is_no_utf8_is_named(monkeypatch: pytest.MonkeyPatch):
    text = io.TextIOWrapper(io.BytesIO(b'{"path": "caf\xe9", "score": 1}\n'), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", text)
    with pytest.raises(SettingsError, match=r"standard input is not in UTF-8 \(byte 0xe9\)"):
        list(predictions(*sources_of(["-"], "input")))


def test_a_byte_order_mark_and_empty_lines_are_passed_over(tmp_path: Path):
    write_csv(tmp_path / "rows.csv", rows(3, 0))
    text = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text("\ufeff" + text)
    assert len(list(predictions(only(tmp_path / "rows.csv")))) == 3
    (tmp_path / "rows.jsonl").write_text('\ufeff{"path": "a", "score": 1}\n\n{"path": "b", "score": 2}\n')
    assert [one.score for one in predictions(only(tmp_path / "rows.jsonl"))] == [1, 2]
