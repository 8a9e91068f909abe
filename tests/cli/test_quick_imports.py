"""Imports without the garbage collector, and help without the packages that torchmetrics can do without."""

import gc
import importlib.util
import os
import subprocess
import sys
from importlib import metadata

import pytest

from ood_lightning.cli.quick_imports import OPTIONAL, in_one_go, without_optional


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_afterwards(enabled: bool):
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with in_one_go():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_optional_packages_are_hidden_only_inside():
    before = metadata.version, importlib.util.find_spec
    with without_optional():
        for name in OPTIONAL:
            with pytest.raises(metadata.PackageNotFoundError):
                metadata.version(name)
            with pytest.raises(ModuleNotFoundError):
                importlib.util.find_spec(f"{name}.x")
        assert metadata.version("torch")
        assert importlib.util.find_spec("torch")
    assert (metadata.version, importlib.util.find_spec) == before


def help_of_fit(words: str) -> str:
    """Help of `fit` in a process of its own: its text, then what was imported of heavy packages."""
    heavy = {*OPTIONAL, "open_clip", "timm", "wandb", "nltk", "pyarrow", "pandas", "sklearn", "webdataset"}
    code = (
        "import sys; sys.argv = ['ood', 'fit', '--help-all']\n"
        "from ood_lightning.cli.main import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        f"print('imported:', *sorted({heavy!r} & set(sys.modules)))"
    )

    command, columns = [sys.executable, "-c", code], {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=columns)
    return done.stdout


@pytest.mark.slow
def test_help_is_the_same_without_them():
    text, imported = help_of_fit("").split("imported:")
    assert imported.split() == []
    assert "--trainer.max_epochs" in text
    assert text == help_of_fit("sys.argv[1:]").split("imported:")[0]
