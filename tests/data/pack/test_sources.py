"""What is taken from a source, and which options go with it."""

import json
import tarfile
from pathlib import Path

import pytest
from packed_sets import packed, run, two_classes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "pictures")


def test_exclusions_leave_out_paths_and_folders_and_must_exist(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    exclusions = tmp_path / "no.txt"
    exclusions.write_text("10/\n2/a.png\n")
    assert run(folder, tmp_path / "out", f"--exclude={exclusions}", "--labels=none") == 0
    assert [key for key, _, _ in packed(tmp_path / "out")] == ["2/b", "2/sub/c"]
    assert "5 excluded" in capsys.readouterr().out

    exclusions.write_text("2/sub/\r\n10/b.png\r\n")
    assert run(folder, tmp_path / "deep", f"--exclude={exclusions}", "--labels=none") == 0
    assert [key for key, _, _ in packed(tmp_path / "deep")] == ["10/a", "10/c", "10/d", "2/a", "2/b"]
    capsys.readouterr()

    exclusions.write_text("10/\n2/z.png\n1\n")  # a folder needs its slash, and the whole of its name
    assert run(folder, tmp_path / "o2", f"--exclude={exclusions}") == 2
    assert "excludes '1' (2 such lines), which the source does not hold" in capsys.readouterr().err
    assert run(folder, tmp_path / "o2", "--exclude=nowhere.txt") == 2
    assert "list of exclusions nowhere.txt does not exist" in capsys.readouterr().err


def test_a_protocol_that_looks_like_a_misspelt_card_is_said_to(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for protocol, words in {"imagenet-vall": "did you mean --protocol imagenet-val?", "imagenet-val": ""}.items():
        assert run(folder, tmp_path / "out", f"--protocol={protocol}") == 0
        said = capsys.readouterr().out
        assert words in said
        assert bool(words) == ("worth a look" in said)

    assert run(folder, tmp_path / "o2", "--protocol=imagenet-val@opnood") == 2
    assert "has no protocol 'opnood'" in capsys.readouterr().err


def test_options_of_other_sources_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "list.txt").write_text("2/a.png 1\n")
    for source, option, words in (
        (Path("hf:me/set"), "--root=x", "root is 'x': it goes with a list file, .csv or .tsv, and hf:me/set is none"),
        (folder, "--root=x", "root is 'x': it goes with a list file"),
        (folder, "--split=test", "split is 'test': it goes with hf: and with folders of .parquet files"),
        (tmp_path / "list.txt", "--split=test", "split is 'test': it goes with hf: and with folders"),
    ):
        assert run(source, tmp_path / "out", option) == 2
        assert words in capsys.readouterr().err


def test_files_of_the_datasets_library_are_exported_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/data-00000-of-00001.arrow").write_bytes(b"x")
    assert run(tmp_path / "in", tmp_path / "out") == 2
    assert "holds Arrow files of the `datasets` library: export them with `to_parquet`" in capsys.readouterr().err


def test_a_source_without_pictures_says_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "in/__MACOSX").mkdir(parents=True)
    for name in ("a.txt", "b.TXT", "c", "._d.png", "__MACOSX/e.png"):
        (tmp_path / "in" / name).write_text("x")
    assert run(tmp_path / "in", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "holds no pictures, only " in said
    for words in ("2 .txt", "1 no ending", "2 resource forks of macOS"):
        assert words in said


@pytest.mark.parametrize(
    ("kind", "options", "orientation"),
    [
        ("folder", [], "exif"),
        ("folder", ["--orientation=ignore"], "ignore"),
        ("folder", ["--protocol=sun"], "ignore"),  # a published set: its numbers were made so
        ("folder", ["--protocol=my own"], "exif"),
        ("tar", [], "ignore"),
        ("tar", ["--orientation=exif"], "exif"),
        ("list", [], "ignore"),
    ],
)
def test_pictures_of_ones_own_folder_are_set_upright(
    kind: str, options: list[str], orientation: str, folder: Path, tmp_path: Path
):
    (tmp_path / "list.txt").write_text("pictures/2/a.png 0\n")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(folder, "x")
    source = {"folder": folder, "tar": tmp_path / "x.tar", "list": tmp_path / "list.txt"}[kind]
    assert run(source, tmp_path / "out", *options) == 0
    assert json.loads((tmp_path / "out/manifest.json").read_text())["orientation"] == orientation
