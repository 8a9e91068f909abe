"""What tests of single commands share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_configs
from tiny_configs import Settings

from ood_lightning.cli.main import main


@pytest.fixture
def config(tmp_path: Path, encoder_yaml: Settings, words_yaml: Settings) -> Any:
    """Writer of a step's YAML: names of shared settings, and further ones by their keys; returns arguments."""
    known = {"encoder": encoder_yaml, "corpus": words_yaml, "prompts": {"templates": ["{}", "a photo of a {}."]}}

    def write(*keys: str, **more: Any) -> list[str]:
        settings = {key: known[key] for key in keys} | {"cache_dir": "cache"} | more
        return ["--config", str(tiny_configs.write(tmp_path / "step.yaml", settings))]

    return write


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Run a command that must end with one clear message."""

    def run(command: list[str], words: str) -> None:
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        (message,) = re.findall(r"^error: .*(?:\n(?!error).*)*", error, re.MULTILINE)
        assert re.search(words, message), message
        assert len(message.strip().splitlines()) == 1, message
        assert len(message) < 600

    return run
