"""`run` on folders as people have them, and on tars; what it decides is what `predict` says of the same pictures."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import picture_folders
import pytest
from picture_folders import HOSTILE
from shard_files import write_tar
from unpacked import unpack, words_file

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.data.rows.formats import unspelt

pytestmark = pytest.mark.slow  # pictures are embedded

Refused = Callable[[list[str], str], None]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with animals, a corpus, and the features of both."""
    folder = tmp_path_factory.mktemp("run")
    unpack("id_test", folder / "animals", 40)
    words_file(folder / "words.txt")
    return folder


def command(kept: Path, *words: str) -> list[str]:
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", str(kept / "words.txt")]
    options = ["--encoder", "pictograms", "--num_workers", "0", "--cache_dir", str(kept / "cache")]
    return ["run", *words, *options, *corpus]


def rows_of(path: str) -> dict[str, dict[str, str]]:
    """Rows by the names of their files, each of which comes once."""
    rows = csv_rows(Path(path).read_text(encoding="utf-8"))
    by_path = {unspelt(row["path"]): row for row in rows}
    assert len(by_path) == len(rows)
    return by_path


def check_decided_alike(decided: dict[str, dict[str, str]], predicted: dict[str, dict[str, str]]) -> None:
    """Every row of a run is among those of `predict`, with the same name, score and decision."""
    assert decided.keys() <= predicted.keys()
    for path, row in decided.items():
        assert float(row["score"]) == pytest.approx(float(predicted[path]["score"]), abs=1e-3)
        assert row["accepted"] == predicted[path]["accepted"]


def test_every_name_of_a_file_comes_back_from_the_decisions(kept: Path, tmp_path: Path):
    drawings = sorted((kept / "animals").iterdir())
    for name, drawing in zip(HOSTILE, drawings, strict=False):
        picture_folders.write(tmp_path / "odd", name, drawing.read_bytes())
    assert main(command(kept, "odd", "--ood", "odd/日本", "--out", "made")) == 0
    decided = rows_of("made/decisions.csv")
    assert all(Path(path).is_file() for path in decided)

    text = Path("made/decisions.csv").read_bytes().decode()
    assert text.replace("\r\n", "").isprintable()
    assert main(["predict", "odd", "--detector", "made/detector", "--out", "rows.csv"]) == 0
    assert set(rows_of("rows.csv")) == {f"odd/{name}" for name in HOSTILE}


def test_a_tar_is_a_source_and_its_rows_are_those_of_predict(kept: Path, tmp_path: Path):
    drawings = sorted((kept / "animals").iterdir())
    write_tar(tmp_path / "animals.tar", [(path.name, path.read_bytes()) for path in drawings])
    assert main(command(kept, "animals.tar", "--out", "made")) == 0
    decided = rows_of("made/decisions.csv")
    assert all(path.startswith("animals: ") for path in decided)

    assert main(["predict", "animals.tar", "--detector", "made/detector", "--out", "rows.csv"]) == 0
    predicted = rows_of("rows.csv")
    assert len(predicted) == 40
    check_decided_alike(decided, predicted)


def test_formats_sizes_and_damaged_files_side_by_side(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = picture_folders.mixed(tmp_path / "mixed")
    for drawing in sorted((kept / "animals").iterdir())[:10]:
        shutil.copy(drawing, folder / "B")
    picture_folders.write(folder, "f/cut.jpg", (folder / "a.jpg").read_bytes()[:200])
    picture_folders.write(folder, "empty.png", b"")
    picture_folders.write(folder, "\x1b[31mbad.gif", b"GIF89a")

    assert main(command(kept, "mixed", "--out", "made")) == 1
    printed = capsys.readouterr().out
    assert "16 pictures; 3 more cannot be read" in printed
    assert "no pictures by name: " in printed
    assert "\x1b[31m" not in printed
    for name in ("f/cut.jpg", "empty.png", r"\x1b[31mbad.gif"):
        assert f"cannot be read: mixed/{name}: " in printed

    assert main(["predict", "mixed", "--detector", "made/detector", "--out", "rows.csv"]) == 1
    predicted = rows_of("rows.csv")
    assert {path for path, row in predicted.items() if row["error"]} == {
        "mixed/f/cut.jpg", "mixed/empty.png", "mixed/\x1b[31mbad.gif",
    }  # fmt: skip
    assert len(predicted) == 19
    check_decided_alike(rows_of("made/decisions.csv"), predicted)


def test_folders_of_classes_are_one_set_of_pictures(kept: Path, capsys: pytest.CaptureFixture[str]):
    for i, drawing in enumerate(sorted((kept / "animals").iterdir())):
        picture_folders.write(
            Path("classes"), f"{'train' if i % 4 else 'val'}/{i % 3}/{i:02}.webp", drawing.read_bytes()
        )
    assert main(command(kept, "classes", "--out", "made")) == 0
    assert "40 pictures" in capsys.readouterr().out
    with Path("made/decisions.csv").open(newline="") as file:
        parents = {str(Path(row["path"]).parent) for row in csv.DictReader(file)}
    assert len(parents) > 3
    assert all(parent.count("/") == 2 for parent in parents)


def test_one_picture_many_times_beside_others_counts_once(kept: Path, capsys: pytest.CaptureFixture[str]):
    drawings = sorted((kept / "animals").iterdir())
    for i in range(50):
        picture_folders.write(Path("mostly_one"), f"{i}.webp", drawings[0].read_bytes())
    for drawing in drawings[1:12]:
        picture_folders.write(Path("mostly_one"), drawing.name, drawing.read_bytes())
    assert main(command(kept, "mostly_one", "--out", "made")) == 0
    assert "61 pictures; 49 are nearly the same as another one" in capsys.readouterr().out


def test_folders_that_hold_no_pictures_say_what_they_hold(kept: Path, refused: Refused):
    for name in ("report.pdf", "deep/notes.txt", ".hidden.png"):
        picture_folders.write(Path("documents"), name, b"x")
    refused(command(kept, "documents"), "documents holds no manifest.json, no tars and no pictures, only .*1 .pdf")
    picture_folders.write(Path("broken"), "a.png", b"x")
    refused(command(kept, "broken"), "none|no picture|0 different pictures")
