"""What tests of single commands share."""

from pathlib import Path
from typing import Any

import pytest
import tiny_configs
from tiny_configs import Settings


@pytest.fixture
def config(tmp_path: Path, encoder_yaml: Settings, words_yaml: Settings) -> Any:
    """Writer of a step's YAML: names of shared settings, and further ones by their keys; returns arguments."""
    known = {"encoder": encoder_yaml, "corpus": words_yaml, "prompts": {"templates": ["{}", "a photo of a {}."]}}

    def write(*keys: str, **more: Any) -> list[str]:
        settings = {key: known[key] for key in keys} | {"cache_dir": "cache"} | more
        return ["--config", str(tiny_configs.write(tmp_path / "step.yaml", settings))]

    return write
