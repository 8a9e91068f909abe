"""The shipped configs as a collection: an index that names them all, and nothing that the code defaults already."""

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
PARTS = {"encoders", "corpora", "prompts", "detectors", "streams", "judges"}
WHOLE = [name for name in FILES if Path(name).parent.name not in PARTS]


def test_the_index_names_every_whole_config_and_every_folder_of_parts():
    index = (CONFIGS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)`", index, re.MULTILINE)

    named = [path for name in rows if name.endswith(".yaml") for path in CONFIGS.glob(name)]
    assert sorted(str(path.relative_to(CONFIGS)) for path in named) == WHOLE
    assert {name.rstrip("/") for name in rows if name.endswith("/")} == PARTS
    assert {path.name for path in CONFIGS.iterdir() if path.is_dir()} == PARTS | {
        "compat",
        "experiments",
        "imagenet",
        "pictograms",
    }


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_changes_another_is_named_so(name: str):
    command = (CONFIGS / name).read_text(encoding="utf-8").splitlines()[0]
    is_overlay = command.count("--config") == 2
    assert is_overlay == (Path(name).name.startswith("with_") or name.startswith("compat/"))


def classes(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each class path of a config, and its settings."""
    if isinstance(content, dict):
        if "class_path" in content:
            yield content["class_path"], content.get("init_args") or {}
        content = list(content.values())

    if isinstance(content, list):
        for value in content:
            yield from classes(value)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("compat/")])
def test_a_config_repeats_nothing_that_the_code_defaults(name: str):
    content = yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8"))

    for class_path, settings in classes(content):
        module, _, kind = class_path.rpartition(".")
        parameters = signature(getattr(import_module(module), kind)).parameters
        repeated = [key for key, value in settings.items() if parameters[key].default == value]
        assert not repeated, f"{class_path} defaults to the same {', '.join(repeated)}"


@pytest.mark.parametrize("name", WHOLE)
def test_what_every_trainer_has_stands_in_the_code_alone(name: str):
    content = yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8"))
    trainer = content.get("trainer", {})

    assert not {"use_distributed_sampler", "enable_model_summary", "deterministic"} & trainer.keys()
    assert "CSVLogger" not in str(trainer)
    assert content.get("seed_everything") != 0  # 0 is the default
