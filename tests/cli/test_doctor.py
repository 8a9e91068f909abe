"""`doctor`: a line for each part, the exit status, and no torch before the last line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.machine import hardware, software
from ood_lightning.machine.line import Line

pytestmark = pytest.mark.usefixtures("no_network")
PARTS = ("Python", "torch", "memory", "disk", "/dev/shm", "hub", "WordNet", "W&B", "Slurm")
PARTS += ("configs", "built-in model", "built-in pictures", "device")


@pytest.mark.slow
def test_a_line_for_each_part_and_status_0(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hardware, "MEMORY_GIB", (0.0, 0.0))  # of the machine that runs this
    monkeypatch.setattr(hardware, "DISK_GIB", (0.0, 0.0))
    monkeypatch.setattr(hardware, "SHARED_GIB", (0.0, 0.0))
    assert main(["doctor"]) == 0

    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1].split(":")[0] for line in lines] == list(PARTS)
    assert last.startswith("0 failures, ")


def test_a_failure_is_status_1_and_the_others_are_still_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(software, "wordnet_line", lambda: Line.failed("WordNet", "\x1b[2J gone", "install again"))
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  WordNet: \\x1b[2J gone. To mend it: install again" in printed
    assert "device:" in printed


def test_a_folder_of_features_that_cannot_be_made_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--cache_dir", "file/features"]) == 1
    assert "FAIL  disk:" in capsys.readouterr().out


def test_no_secret_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    secret = "0123456789abcdef" * 2
    for name in ("WANDB_API_KEY", "HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, secret)
    main(["doctor"])
    assert secret not in capsys.readouterr().out


@pytest.mark.slow
def test_torch_is_imported_for_the_last_line_alone():
    code = (
        "import sys\n"
        "from ood_lightning.cli.main import main\n"
        "from ood_lightning.machine import hardware\n"
        "from ood_lightning.machine.line import Line\n"
        "hardware.device_line = lambda: Line.passed('device', f'torch imported: {\"torch\" in sys.modules}')\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert "torch imported: False" in done.stdout, done.stderr
