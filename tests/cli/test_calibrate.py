"""`calibrate`: a threshold for a detector folder, from pictures that it has never seen."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from unpacked import unpack, words_file

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow  # pictures are embedded

Refused = Callable[[list[str], str], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a detector, the pictures that it was made from, and others."""
    folder = tmp_path_factory.mktemp("calibrate")
    unpack("id_test", folder / "animals", 40)
    unpack("id_test", folder / "others", 40, start=40)
    words_file(folder / "words.txt")
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", str(folder / "words.txt")]
    machine = ["--cache_dir", str(folder / "cache"), "--num_workers", "0", "--encoder", "pictograms"]
    assert main(["run", str(folder / "animals"), *corpus, *machine, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the detector in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made / "run" / "detector", tmp_path / "detector"))


def command(made: Path, *pictures: str) -> list[str]:
    machine = ["--cache_dir", str(made / "cache"), "--num_workers", "0"]
    return ["calibrate", *(str(made / name) for name in pictures), "--detector", "detector", *machine]


def test_the_threshold_is_that_of_the_new_pictures(made: Path, folder: Path, capsys: pytest.CaptureFixture[str]):
    before = json.loads((folder / "calibration.json").read_text())
    assert main([*command(made, "others"), "--tpr", "0.9"]) == 0
    after = json.loads((folder / "calibration.json").read_text())
    assert len(before["scores"]) == 20
    assert len(after["scores"]) == 40
    assert after["tpr"] == 0.9

    printed = capsys.readouterr().out
    assert "Calibrated on 40 images" in printed
    assert "On average over calibration sets: at least 90 %" in printed
    assert "Kolmogorov-Smirnov" in printed  # against the pictures that `run` set apart
    assert "at least 90 %" in (folder / "README.md").read_text()


def test_scores_do_not_depend_on_who_computes_them(made: Path, folder: Path):
    """The same pictures through `predict` have the scores that calibrate the detector."""
    assert main(command(made, "others")) == 0
    scores = json.loads((folder / "calibration.json").read_text())["scores"]
    assert main(["predict", str(made / "others"), "--detector", "detector", "--out", "rows.jsonl"]) == 0
    predicted = sorted(json.loads(line)["score"] for line in Path("rows.jsonl").read_text().splitlines())
    assert predicted == pytest.approx(scores, abs=0.05)
    n_equal = sum(a == b for a, b in zip(predicted, scores, strict=True))
    assert n_equal >= 36  # all but where another batch rounds a feature to the next number of half precision


def test_pictures_that_it_was_made_from_are_known_again_in_another_folder(
    made: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(made / "others", made / "mixed", dirs_exist_ok=True)
    for path in sorted((made / "animals").iterdir())[:20]:
        shutil.copy(path, made / "mixed" / f"again-{path.name}")
    for _ in range(2):  # a second time it is compared with the same pictures, not with the first time's
        capsys.readouterr()
        assert main(command(made, "mixed")) == 0
        printed = capsys.readouterr().out
        assert "calibration images were learned from (equal features)" in printed
        assert "against 20 images" in printed


def test_pictures_that_it_was_made_from_are_refused(made: Path, folder: Path, refused: Refused):
    refused(command(made, "animals"), "animals is what the detector was made from")
    refused([*command(made, "others"), "--tpr", "0"], "tpr is 0")
    (folder / "texts.safetensors").write_bytes(b"cut")
    refused(command(made, "others"), "texts.safetensors")
