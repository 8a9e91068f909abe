"""The built wheel in a virtual environment of its own, from an empty folder: nothing of the checkout is in reach.

What it depends on is lent by this environment, since tests fetch nothing.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from shard_files import encoded
from unpacked import unpack

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("fresh")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    lent = folder / "venv" / "lib" / version / "site-packages" / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(fresh: Path, folder: Path, *arguments: object) -> str:
    """The command in a folder, without the paths of this process; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    command = [str(fresh), "-P", "-m", "ood_lightning", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_that_of_the_wheel(fresh: Path, tmp_path: Path):
    code = "import ood_lightning; print(ood_lightning.__file__)"
    done = subprocess.run([fresh, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(fresh.parents[1])


def test_a_folder_of_ones_own_becomes_a_detector(fresh: Path, tmp_path: Path):
    """As a person would: 300 drawings of animals, food as OOD, the whole corpus."""
    unpack("id_train", tmp_path / "animals", 300)
    unpack("food", tmp_path / "food", 100)
    printed = run(fresh, tmp_path, "run", "animals", "--ood", "food", "--encoder", "pictograms")
    assert "240 to learn from, 60 set apart for the threshold" in printed

    run(fresh, tmp_path, "predict", "food", "--detector", "runs/animals/detector", "--out", "decisions.csv")
    accepted = (tmp_path / "decisions.csv").read_text().count(",true,")
    assert accepted < 50  # of a hundred pictures of food


def test_sets_are_packed_checked_embedded_and_evaluated(fresh: Path, tmp_path: Path, fit_yaml: Path, eval_yaml: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.png").write_bytes(encoded((60 * i, 90, 9), i))

    assert "imagenet" in run(fresh, tmp_path, "data", "list")
    run(fresh, tmp_path, "data", "pack", "pictures", "--out=packed", "--name=mine", "--role=ood", "--workers=1")
    assert "no problems found" in run(fresh, tmp_path, "data", "check", "packed", "--workers=1")

    for command, config in (("fit", fit_yaml), ("test", eval_yaml)):
        assert f"`{command}` can begin" in run(fresh, tmp_path, "validate", command, "--config", config)
        run(fresh, tmp_path, command, "--config", config)
    assert (tmp_path / "run/fit/labels.json").is_file()
    assert (tmp_path / "run/eval/DONE").is_file()
