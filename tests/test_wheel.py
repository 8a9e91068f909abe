"""The built wheel: what it holds, and that it works by itself, unpacked in a folder of its own."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from source_files import PACKAGE, ROOT
from source_files import PACKAGE_FILES as FILES
from unpacked import unpack, words_file

pytestmark = pytest.mark.slow  # it is built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's file."""
    if find_spec("build") is None or find_spec("hatchling") is None:
        pytest.skip("build and hatchling are not installed: pip install -e .[dev]")

    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    """A folder that the wheel alone is installed into."""
    folder = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    return folder


def ran(unpacked: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the unpacked wheel, from another folder."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "ood_lightning", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_it_holds_the_package_configs_and_the_model_and_no_pictures(wheel: Path):
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())

    expected = {"ood_lightning/py.typed"}
    expected |= {str(path.relative_to(ROOT)) for path in FILES}
    expected |= {str(path.relative_to(ROOT)) for path in (PACKAGE / "corpora" / "frozen").iterdir()}
    expected |= {
        str(path.relative_to(ROOT)) for path in (PACKAGE / "data" / "cards").rglob("*.*") if path.suffix != ".pyc"
    }
    expected |= {str(path.relative_to(ROOT)) for path in (PACKAGE / "page").glob("*/*.*") if path.suffix != ".pyc"}
    shipped = [*(ROOT / "configs").rglob("*.*"), *(ROOT / "assets" / "pictograms" / "model").iterdir()]
    shipped += (ROOT / "assets" / "pictograms" / "LICENSES").iterdir()
    expected |= {f"ood_lightning/{path.relative_to(ROOT)}" for path in shipped}
    assert expected <= held
    assert any(path.endswith("entry_points.txt") for path in held)

    outside = {path.split("/")[0] for path in held} - {"ood_lightning"}
    assert all(folder.endswith(".dist-info") for folder in outside)
    assert not [path for path in held if path.endswith((".png", ".tar", ".jpg", ".pyc"))]
    assert wheel.stat().st_size < 35e6


def test_configs_are_found_by_name_and_the_pictures_are_named_as_missing(unpacked: Path, tmp_path: Path):
    printed = ran(unpacked, tmp_path, "fit", "--config", "clustermine.yaml", "--print_config")
    assert printed.returncode == 0, printed.stderr
    assert "model: builtin:pictograms/model" in printed.stdout

    refused = ran(unpacked, tmp_path, "validate", "fit", "--config", "clustermine.yaml")
    assert refused.returncode == 2
    assert "builtin:pictograms/shards/id_train is not in " in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_table_of_a_paper_is_planned_in_an_empty_folder(unpacked: Path, tmp_path: Path):
    work = tmp_path / "work"
    work.mkdir()
    planned = ran(unpacked, work, "reproduce", "clustermine:table1", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.count("python -m ood_lightning ") == 5
    assert not list(work.iterdir())


def test_the_model_is_found(unpacked: Path, tmp_path: Path):
    code = (
        "import ood_lightning; from ood_lightning.encoders.openclip import OpenClip;"
        "print(ood_lightning.__file__); print(OpenClip('builtin:pictograms/model', precision='fp32').fingerprint)"
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]).is_relative_to(unpacked)


def test_a_folder_of_ones_own_becomes_a_detector_in_an_empty_folder(unpacked: Path, tmp_path: Path):
    work = tmp_path / "work"
    unpack("id_test", work / "animals", 40)
    unpack("food", work / "food", 10)
    words_file(work / "words.txt")
    corpus = ("--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt")

    made = ran(unpacked, work, "run", "animals", "--ood", "food", "--encoder", "pictograms", *corpus)
    assert made.returncode == 0, made.stderr
    assert "20 set apart for the threshold" in made.stdout

    predicted = ran(unpacked, work, "predict", "food", "--detector", "runs/animals/detector", "--out", "rows.csv")
    assert predicted.returncode == 0, predicted.stderr
    assert (work / "rows.csv").read_text().count("\n") == 11

    code = (
        "from ood_lightning import Detector\n"
        "detector = Detector.load('runs/animals/detector')\n"
        "for result in detector('food'):\n"
        "    print(result.path, result.score, result.p_value, result.accepted, result.concepts)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("food/") == 10
