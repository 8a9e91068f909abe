"""What tests of commands share: the shipped configs, label sets by hand, and the one error that a person reads."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive

CONFIGS = Path(__file__).parents[1] / "configs"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error on standard error."""
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    return error[error.index("error: ") :]


def command_of(path: Path) -> list[str]:
    """The command in the first line of a config, so that it runs from any folder."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    command = re.fullmatch(r"# python -m ood_lightning (.+)", first)
    assert command, f"{path} does not begin with the command that runs it"
    return [word.replace("configs/", f"{CONFIGS}/") for word in shlex.split(command.group(1))]


def detector_folder(settings: list[str], folder: str = "detector") -> list[str]:
    """Make a detector folder by `save-detector` with these arguments; returns the option of `predict` that names it."""
    assert main(["save-detector", *settings, "--out", folder]) == 0
    return ["--detector", folder]


def write_label_set(path: Path, **change: Any) -> str:
    """A label set on disk; returns its path."""
    by_hand = {
        "positives": (Positive("red"), Positive("green")),
        "negatives": ("dog", "cat"),
        "recipe": {"method": "hand"},
    }
    LabelSet(**{**by_hand, **change}).write(path)
    return str(path)
