"""Lists, CSV and TSV: their order, their labels, and each line that cannot be used."""

from pathlib import Path

import pytest
from packed_sets import PIXEL, packed, run, two_classes

from ood_lightning.data.shards.read_manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "pictures")


def test_lists_as_openood_has_them_keep_their_order(folder: Path, tmp_path: Path):
    (folder / "10/with space.png").write_bytes(PIXEL)
    lines = ["10/with space.png 7", "2/a.png -1", "", "10/a.png 3"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    assert run(tmp_path / "list.txt", tmp_path / "out", f"--root={folder}", "--samples_per_shard=2") == 0

    assert [label for _, _, label in packed(tmp_path / "out")] == [7, -1, 3]
    assert packed(tmp_path / "out")[1][0] == "2/a"
    assert read_manifest(str(tmp_path / "out")).class_names == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("../x.png 1", "line 2: '../x.png' holds `..`"),
        ("/etc/passwd 1", "does not lie below"),
        ("a.png", "line 2: 'a.png' is not `path label`"),
        ("a.png cat", "is not `path label` with an integer"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(line: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "list.txt").write_text(f"\n{line}\n")
    assert run(tmp_path / "list.txt", tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_bad_picture_and_none_at_all_a_wrong_root(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "list.txt").write_text("10/gone.png 0\n10/a.png 0\n")
    assert run(tmp_path / "list.txt", tmp_path / "out", f"--root={folder}") == 2
    assert "'10/gone.png': No such file" in capsys.readouterr().err

    assert run(tmp_path / "list.txt", tmp_path / "none") == 2
    said = capsys.readouterr().err
    assert f"names 2 files and none can be read, such as {tmp_path}/10/gone.png: No such file" in said
    assert "--root names another folder" in said
    assert not (tmp_path / "none").exists()


def test_tables_have_labels_by_number_or_name(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "t.csv").write_text('label,path\nsea,"2/a.png"\nair,10/a.png\n')
    assert run(tmp_path / "t.csv", tmp_path / "names", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "names")] == [1, 0]
    assert read_manifest(str(tmp_path / "names")).class_names == ("air", "sea")

    (folder / "t.tsv").write_text("path\tlabel\n2/a.png\t5\n")
    assert run(folder / "t.tsv", tmp_path / "numbers") == 0
    assert packed(tmp_path / "numbers")[0][2] == 5

    capsys.readouterr()
    (tmp_path / "t.csv").write_text("path, label , width\r\n\r\n2/a.png, 3, 640\r\n10/a.png,11,7\r\n")  # as Excel does
    assert run(tmp_path / "t.csv", tmp_path / "excel", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "excel")] == [3, 11]
    assert "columns not read: width\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file\nx", "expected path and"),
        ("", "has the columns none in its first line"),
        ("path,label,label\na,1,2", "has the columns path, label, label in its first line"),
        ("path,label\na", "line 2: has 1 value, the first line 2 columns"),
        ("path,label\n\na,b.png,3", "line 3: has 3 values, the first line 2 columns; what holds a separator"),
        ("path,label\na,2.0\nb,10.0", "line 2: the label 2.0 is a number but no integer"),  # 10.0 is before 2.0
        ("path,label\na,3\nb,+4.", "line 3: the label +4. is a number but no integer"),
        ("path,label\na,", "line 2: has no label"),
        ("path,label\nx\0,1", "embedded null byte"),
        ("path\n" + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "t.csv").write_text(text)
    assert run(tmp_path / "t.csv", tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_absolute_paths_below_the_root_are_read_and_others_refused_in_true_words(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "list.txt").write_text(f"{folder}/2/a.png 0\n2/b.PNG 1\n")
    assert run(tmp_path / "list.txt", tmp_path / "out", f"--root={folder}") == 0
    assert [(key, label) for key, _, label in packed(tmp_path / "out")] == [("2/a", 0), ("2/b", 1)]

    (tmp_path / "list.txt").write_text(f"{tmp_path}/x.png 0\n")
    assert run(tmp_path / "list.txt", tmp_path / "o2", f"--root={folder}") == 2
    assert f"'{tmp_path}/x.png' does not lie below {folder}: give another root" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "separator"), [("L.TSV", "\t"), ("L.CSV", ","), ("l.csv", ","), ("l.tsv", "\t")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_with_endings_marks_and_line_ends_of_any_system(
    name: str, separator: str, end: str, folder: Path, tmp_path: Path
):
    rows = [("path", "label"), ("2/a.png", "3"), ("2/b.PNG", "4")]
    text = "\ufeff" + "".join(separator.join(row) + end for row in rows)
    (tmp_path / name).write_bytes(text.encode())
    assert run(tmp_path / name, tmp_path / "out", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "out")] == [3, 4]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_a_list_in_capitals_with_line_ends_of_any_system(end: str, folder: Path, tmp_path: Path):
    (tmp_path / "L.TXT").write_bytes(f"\ufeff2/a.png 3{end}2/b.PNG 4{end}".encode())
    assert run(tmp_path / "L.TXT", tmp_path / "out", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "out")] == [3, 4]


@pytest.mark.parametrize("letter", "\u2028\u2029\u0085\x0b\x0c\x1c")
@pytest.mark.parametrize("name", ["l.csv", "l.txt"])
def test_only_line_ends_end_a_line(letter: str, name: str, folder: Path, tmp_path: Path):
    (folder / f"a{letter}b.png").write_bytes(PIXEL)
    texts = {"l.csv": f"path,label\na{letter}b.png,5\n", "l.txt": f"a{letter}b.png 5\n"}
    (tmp_path / name).write_text(texts[name], encoding="utf-8")
    assert run(tmp_path / name, tmp_path / "out", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "out")] == [5]
