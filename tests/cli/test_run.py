"""`run`: from a folder of pictures to a detector with a threshold."""

import csv
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from picture_folders import HOSTILE
from unpacked import unpack, words_file

from ood_lightning.cli.main import main
from ood_lightning.data.rows.formats import unspelt
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.making.kept import write_settings
from ood_lightning.reasons.stored import read_reasons

pytestmark = pytest.mark.slow  # pictures are embedded

Refused = Callable[[list[str], str], None]
DRAWINGS = ("--encoder", "pictograms", "--num_workers", "0")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 animals, 20 of food, a corpus, and the features of all of them."""
    folder = tmp_path_factory.mktemp("run")
    unpack("id_test", folder / "animals", 60)
    unpack("food", folder / "food", 20)
    words_file(folder / "words.txt")
    return folder


@pytest.fixture
def folder(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in the current folder; what is embedded there serves all tests of this file."""
    for name in ("animals", "food"):
        shutil.copytree(kept / name, tmp_path / name)
    shutil.copy(kept / "words.txt", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(kept: Path, *words: str) -> list[str]:
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt"]
    return ["run", *words, *DRAWINGS, *corpus, "--cache_dir", str(kept / "cache")]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "decisions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_detector_that_decides(kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(command(kept, "animals", "--ood", "food")) == 0
    printed = capsys.readouterr().out
    run = folder / "runs" / "animals"
    assert "encoder: pictograms (licence: Apache-2.0)" in printed
    assert "60 pictures" in printed
    assert "30 to learn from, 30 set apart for the threshold" in printed
    assert "with 95 % confidence" in printed
    assert f"to look at: {Path('runs/animals/report.html')}" in printed
    reasons = read_reasons(run)
    assert [one.split(" ")[0] for one in (reasons.id_set, reasons.looked_at)] == ["animals-held_out", "30"]
    assert len({picture.thumbnail for picture in reasons.pictures}) == len(reasons.pictures)
    assert "Calibrated on 30 images" in (run / "report.html").read_text(encoding="utf-8")

    decided = rows(run)
    assert [row["set"] for row in decided].count("food") == 20
    assert sum(row["path"].startswith("animals/") for row in decided) == 30  # those that were set apart
    assert {row["accepted"] for row in decided} <= {"true", "false"}
    means = {
        name: statistics.mean(float(row["score"]) for row in decided if row["set"] == name)
        for name in ("food", "animals-held_out")
    }
    assert means["food"] < means["animals-held_out"]
    assert all(0 < float(row["p_value"]) <= 1 for row in decided)

    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "steps.json"}
    assert main(command(kept, "animals", "--ood", "food")) == 0  # all is reused, or comes out the same
    assert {path: path.read_bytes() for path in files} == files
    assert "embed" not in capsys.readouterr().err

    shutil.move(run / "settings.yaml", folder / "again.yaml")
    assert main(["run", "-c", "again.yaml"]) == 0
    assert {path: path.read_bytes() for path in files} == files


def test_settings_are_kept_without_secrets_and_shown_on_the_page(tmp_path: Path):
    write_settings(tmp_path, {"folders": ["https://me:secret@host/a.tar?token=1"], "names": None, "tpr": 0.9})
    kept = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert kept == {"folders": ["https://***@host/a.tar?***"], "tpr": 0.9}


def test_words_are_encoded_once_and_passed_on(
    kept: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main([*command(kept, "animals"), "--text_features", "texts/words.safetensors"]) == 0
    assert Path("texts/words.safetensors").is_file()
    labels = Path("runs/animals/detector/labels.json").read_bytes()
    capsys.readouterr()

    shutil.rmtree("runs")
    other = [*command(folder, "animals"), "--text_features", "texts/words.safetensors"]  # another machine's cache

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a text is encoded")

    monkeypatch.setattr(OpenClip, "encode_text", refuse)
    assert main(other) == 0
    assert "texts to encode" not in capsys.readouterr().out
    assert Path("runs/animals/detector/labels.json").read_bytes() == labels


def test_the_duration_is_said_before_texts_are_encoded(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(command(folder, "animals")) == 0
    assert "texts to encode, once for this encoder: about " in capsys.readouterr().out


def test_pictures_that_cannot_be_read_are_listed(kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    Path("animals/broken.png").write_bytes(b"no picture")
    Path("animals/notes.txt").write_text("none")
    Path("animals/.hidden").write_text("none")
    assert main(command(kept, "animals")) == 1
    printed = capsys.readouterr().out
    assert "1 more cannot be read" in printed
    assert "no pictures by name: 1 .txt, 1 hidden file" in printed
    assert "cannot be read: animals/broken.png: " in printed
    assert "cannot be read: animals/broken.png: " in Path("runs/animals/summary.md").read_text()


def test_names_that_are_given_take_the_place_of_mined_ones(
    kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    Path("names.txt").write_text("cat\ndog\nhorse\nwhale\nbird\n")
    assert main([*command(kept, "animals", "--ood", "food"), "--names", "names.txt", "--detector", "mcm"]) == 0
    assert "5 positives: cat, dog, horse, whale, bird" in capsys.readouterr().out
    assert "id_names" in Path("runs/animals/detector/detector.json").read_text()


def test_several_folders_have_the_columns_that_a_detector_reads(kept: Path, folder: Path):
    """GL-MCM reads patches: those of the second folder lie in files of their own."""
    Path("names.txt").write_text("cat\ndog\nhorse\nwhale\nbird\n")
    unpack("id_test", folder / "more", 30, start=60)
    named = ["--names", "names.txt", "--detector", "glmcm"]
    assert main([*command(kept, "animals", "more", "--ood", "food", "--out", "both"), *named]) == 0
    of_both = {row["path"]: float(row["score"]) for row in rows(Path("both"))}

    assert main([*command(kept, "more", "--out", "one"), *named]) == 0
    of_one = {row["path"]: float(row["score"]) for row in rows(Path("one"))}
    shared = of_both.keys() & of_one.keys()
    assert len(shared) > 3
    assert all(of_both[path] == of_one[path] for path in shared)


def test_several_folders_are_one_set(kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    unpack("id_test", folder / "more", 30, start=60)
    assert main(command(kept, "animals", "more", "--out", "both")) == 0
    assert "90 pictures" in capsys.readouterr().out
    assert {Path(row["path"]).parent.name for row in rows(Path("both"))} == {"animals", "more"}


def test_a_run_among_the_pictures_warns(kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    unpack("id_test", folder / "five", 5)
    for _ in range(2):
        assert main(command(kept, "five", "--out", "five/run")) == 0
        assert "warning: five/run lies in five, among the pictures: " in capsys.readouterr().err


def test_few_pictures_are_enough_for_a_detector_that_promises_little(
    kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    unpack("id_test", folder / "five", 5)
    assert main(command(kept, "five")) == 0
    printed = capsys.readouterr().out
    assert "3 to learn from, 2 set apart" in printed
    assert "For one at 95 %, calibrate on 17 more images (19 in all" in printed
    assert "so 38 different ones give a threshold at 95 %, and 118 one that holds with 95 % confidence" in printed
    assert "calibrate on 17 more images" in Path("runs/five/detector/README.md").read_text()
    assert "clusters of 3 images elect" in printed


def test_any_names_of_folders_and_pictures_are_shown_safely(
    kept: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    photos = folder / "Übung [1] a\nb\x1b[31m"
    photos.mkdir()
    pictures = sorted(Path("animals").iterdir())
    for name, picture in zip(HOSTILE, pictures, strict=False):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(picture, photos / name)
    Path("food").rename("-rf")
    assert main(command(kept, photos.name, "--ood", "./-rf", "--out", "-out [x]")) == 0

    said = "".join(capsys.readouterr())
    assert not {"\x1b", "\udcff"} & {*said}
    summary = Path("-out [x]/summary.md").read_text()
    assert summary.replace("\n", "").isprintable()
    assert "Übung [1] a-b-[31m-held_out" in summary

    held_out = [row["path"] for row in rows(Path("-out [x]")) if "held_out" in row["set"]]
    assert len(held_out) == len(HOSTILE) // 2
    assert all(Path(unspelt(path)).is_file() for path in held_out)


def test_what_cannot_work_is_one_line(kept: Path, folder: Path, refused: Refused):
    same = folder / "same"
    same.mkdir()
    for i in range(50):
        shutil.copy("animals/0000.webp", same / f"{i}.webp")
    refused(command(kept, "same"), "1 different picture among 50: at least 5 are needed")

    (folder / "empty").mkdir()
    refused(command(kept, "empty"), "no pictures: name a folder with pictures")
    refused(command(kept, "none"), "there is no ")
    refused(command(kept, "animals", "--ood", "animals"), "--ood animals holds the very pictures")
    shutil.copytree("food", "other/food")
    refused(command(kept, "animals", "--ood", "food", "other/food"), "two sets of --ood are called food")
    refused([*command(kept, "animals"), "--tpr", "95"], r"tpr is 95.*0\.95, not 95")
    refused([*command(kept, "animals"), "--detector", "knn_"], "no detector 'knn_': did you mean 'knn'")
    refused([*command(kept, "animals"), "--detector", "mahalanobis"], "Mahalanobis needs a class for each picture")
    refused([*command(kept, "animals"), "--clusters", "61"], "clusters is 61, and there are 60 pictures")
    refused(command(kept, "animals/0000.webp"), "animals/0000.webp is a picture: name the folder")
    refused([*command(kept, "animals"), "--names", "none.txt"], "names is 'none.txt', and there is no such file")
    refused(["run", "animals", "--encoder", "vit_h14_dfn5b"], "its weights is Apple Machine Learning Research")


def test_with_too_few_pictures_for_a_threshold_the_page_begins_at_one_of_its_own(kept: Path, folder: Path):
    for path in sorted((folder / "animals").iterdir())[20:]:
        path.unlink()
    assert main(command(kept, "animals")) == 0
    page = (folder / "runs" / "animals" / "report.html").read_text(encoding="utf-8")
    assert "The run has no threshold, so the page begins at one of its own" in page
    assert "No out-of-distribution set was scored" in page
