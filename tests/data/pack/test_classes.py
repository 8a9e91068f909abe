"""Class numbers: from folders, from class names, and refused where they would be a guess."""

import os
from pathlib import Path

import pytest
from packed_sets import PIXEL, packed, run, two_classes

from ood_lightning.data.class_names import read_folders, read_names
from ood_lightning.data.pack.classes import in_order, numbered
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import LabelSetError, SourceError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "pictures")


def test_classes_of_numbered_folders_are_numbers_in_order(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "out") == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("2", "10")
    assert [(key, label) for key, _, label in packed(tmp_path / "out")] == [
        *((f"10/{name}", 1) for name in "abcd"), ("2/a", 0), ("2/b", 0), ("2/sub/c", 0),
    ]  # fmt: skip

    assert run(folder, tmp_path / "text", "--class_order=name") == 0
    assert read_manifest(str(tmp_path / "text")).class_names == ("10", "2")


def test_an_order_of_classes_that_would_change_nothing_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "list.txt").write_text("10/a.png 3\n2/a.png 1\n")
    (tmp_path / "none.txt").write_text("10/a.png -1\n")
    (tmp_path / "names.txt").write_text("10\tten\n2\ttwo\n")

    for source, more, words in (
        (tmp_path / "list.txt", [f"--root={folder}"], "class_order is 'number', but the source itself numbers"),
        (tmp_path / "none.txt", [f"--root={folder}"], "class_order is 'number', but the pictures have no classes"),
        (folder, ["--labels=none"], "class_order is 'number', but the pictures have no classes"),
        (folder, [f"--class_names={tmp_path}/names.txt"], "but the lines of class_names number the folders"),
    ):
        assert run(source, tmp_path / "out", "--class_order=number", *more) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_class_folders_need_not_be_utf8_nor_files_plain(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for folder in (b"\xff", "ünï".encode()):
        path = tmp_path / "in" / os.fsdecode(folder)
        path.mkdir(parents=True)
        (path / "a.png").write_bytes(PIXEL)
    os.mkfifo(path / "pipe.png")
    (path / "broken.png").symlink_to("nowhere")

    assert run(tmp_path / "in", tmp_path / "out", "--max_bad_samples=2") == 1
    said = capsys.readouterr().out
    assert "pipe.png': a device, pipe or folder" in said
    assert "broken.png': No such file" in said
    assert read_manifest(str(tmp_path / "out")).class_names == ("ünï", "\\udcff")


def test_class_names_number_the_folders_where_they_name_them(folder: Path, tmp_path: Path):
    (tmp_path / "names.txt").write_text("7\tseven\n10\tten\n2\ttwo\n")
    assert run(folder, tmp_path / "out", f"--class_names={tmp_path / 'names.txt'}") == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("seven", "ten", "two")
    assert {key[:2]: label for key, _, label in packed(tmp_path / "out")} == {"10": 1, "2/": 2}


def test_numbers_and_names_that_do_not_fit_are_refused():
    assert numbered(["b", "a"], ("first", "second")) == ([1, 0], ("first", "second"))
    assert numbered([1, 0, -1], ("x", "y")) == ([1, 0, -1], ("x", "y"))

    with pytest.raises(SourceError, match=r"3 names, the source has 2 classes"):
        numbered(["b", "a"], ("x", "y", "z"))
    with pytest.raises(SourceError, match="no line for 1 of 2 classes, such as 'b'; its first line is for 'a'"):
        numbered(["b", "a"], ("x", "y"), folders=("a", "c"))
    with pytest.raises(SourceError, match="two lines for the folder 'a'"):
        numbered(["b", "a"], ("x", "y", "z"), folders=("a", "b", "a"))
    with pytest.raises(SourceError, match="from 0 to 2, class_names holds 2"):
        numbered([0, 2], ("x", "y"))
    with pytest.raises(SourceError, match="a label is -2: expected 0 or more, or -1"):
        numbered([0, -2], ())
    with pytest.raises(SourceError, match="2 class_names are given, the source has no classes"):
        numbered([None, -1], ("x", "y"))
    with pytest.raises(SourceError, match="is no whole number"):
        in_order(["1", "x"], "number")


def test_names_with_folders_serve_labels_that_are_numbers_too(folder: Path, tmp_path: Path):
    (tmp_path / "names.txt").write_text("7\tseven\n10\tten\n\n")
    (tmp_path / "list.txt").write_text("2/a.png 1\n")
    more = (f"--root={folder}", f"--class_names={tmp_path / 'names.txt'}")
    assert run(tmp_path / "list.txt", tmp_path / "out", *more) == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("seven", "ten")
    assert read_names(str(tmp_path / "names.txt")) == ["seven", "ten"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7\tseven\n10 ten\n", r"line 2: '10 ten' is not `folder<TAB>name`"),
        ("7\tseven\n10\t\n", r"line 2: '10' is not `folder<TAB>name`"),
        ("7\t7\tseven\n", r"line 1: '7\\t7\\tseven' is not"),
        ("seven\n\nten\n", r"line 2 is empty: a line's place is the number of its class"),
    ],
)
def test_a_line_that_would_shift_or_garble_names_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(LabelSetError, match=words):
        read_folders(str(tmp_path / "names.txt"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_names_of_any_editor_are_the_same(end: str, tmp_path: Path):
    (tmp_path / "NAMES.TXT").write_bytes(f"\ufeff7\tseven{end}10\tten\u2028x{end}{end}".encode())
    assert read_folders(str(tmp_path / "NAMES.TXT")) == [("7", "seven"), ("10", "ten x")]


def test_pictures_beside_class_folders_are_a_question(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "loose.png").write_bytes(PIXEL)
    assert run(folder, tmp_path / "out") == 2
    assert "1 picture beside class folders, such as 'loose.png', and 7 in them" in capsys.readouterr().err


def test_imagenets_own_list_numbers_and_names_the_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for synset in ("n01440764", "n01443537"):
        (tmp_path / "in" / synset).mkdir(parents=True)
        (tmp_path / "in" / synset / "a.png").write_bytes(PIXEL)
    (tmp_path / "synsets.txt").write_text("n01443537 goldfish, Carassius auratus\nn01440764 tench, Tinca tinca\n")

    assert run(tmp_path / "in", tmp_path / "named", f"--class_names={tmp_path}/synsets.txt") == 0
    assert read_manifest(str(tmp_path / "named")).class_names == ("goldfish", "tench")
    assert [label for _, _, label in packed(tmp_path / "named")] == [1, 0]
    assert "no names" not in capsys.readouterr().out

    assert run(tmp_path / "in", tmp_path / "ids") == 0  # as ids they are packed, and said
    said = capsys.readouterr().out
    assert "no names: 2 of 2 class names are ids or numbers, such as 'n01440764'" in said
