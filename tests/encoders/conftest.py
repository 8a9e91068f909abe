"""Tiny random models of transformers, in folders."""

from pathlib import Path

import pytest
from tiny_transformers import write_clip, write_siglip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("hf") / "clip")


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_siglip(tmp_path_factory.mktemp("hf") / "siglip")


@pytest.fixture(params=["clip", "siglip"])
def model_folder(request: pytest.FixtureRequest) -> Path:
    """Each of the two in turn."""
    folder: Path = request.getfixturevalue(request.param)
    return folder
