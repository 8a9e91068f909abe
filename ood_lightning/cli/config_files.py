"""Config files before they are parsed: broken YAML by file and line, and names of what does not exist."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.errors import SettingsError
from ood_lightning.places import shipped, shipped_config
from ood_lightning.text_files import read_text

ENDINGS = (".yaml", ".yml")
CONFIG_OPTIONS = ("-c", "--config")
PARTS = {  # last part of a key: the folder of shipped parts of its kind
    "encoder": "encoders",
    "corpus": "corpora",
    "prompts": "prompts",
    "detector": "detectors",
    "detectors": "detectors",
    "streams": "streams",
    "judge": "judges",
    "second_judge": "judges",
}
N_NEAR = 3
MAX_DEPTH = 50  # of lists and mappings in each other
MAX_VALUES = 1_000_000  # of one file; aliases can make more of a few lines than any memory holds


def check_files(words: Sequence[str]) -> list[dict[Any, Any]]:
    """Refuse a command whose YAML files, or those that they name, cannot be read as YAML.

    Args:
        words: of the command line.

    Returns:
        What the configs among them hold, in their order.

    Raises:
        SettingsError: names file and line.
    """
    configs: list[dict[Any, Any]] = []
    seen: set[Path] = set()
    for previous, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        path = Path(os.path.expanduser(value if equals and option.startswith("-") else word))
        is_config = (option if equals else previous) in CONFIG_OPTIONS
        if is_config and not path.exists():
            raise SettingsError(f"there is no config {path}{similar_names(str(path), 'config')}")
        if (is_config or path.suffix in ENDINGS) and path.is_file():
            content = _check(path, seen)
            if not is_config:
                continue
            if not isinstance(content, dict):
                what = "is empty" if content is None else f"holds a {type(content).__name__}"
                raise SettingsError(f"the config {path} {what}: expected lines `KEY: VALUE`")
            configs.append(content)

    return configs


def _check(path: Path, seen: set[Path]) -> Any:
    """Read a file and the files that it names, each once; returns what it holds."""
    text = read_text(path, "the config", SettingsError)
    try:
        content = yaml.safe_load(text)
        texts = list(_texts(content))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(f"{path}{where} is no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is no YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise SettingsError(f"{path} is no config: it is nested more than {MAX_DEPTH} deep") from None
    except _UnfitError as error:
        raise SettingsError(f"{path} is no config: {error}") from None
    except ValueError as error:  # an impossible date, a number of thousands of digits
        raise SettingsError(f"{path} holds what is no value of YAML: {error}") from None

    seen.add(path.resolve())
    for text in texts:
        if text.endswith(ENDINGS) and (named := path.parent / text).is_file() and named.resolve() not in seen:
            _check(named, seen)
    return content


class _UnfitError(Exception):
    """A document that no parser should be given."""


def _texts(content: Any) -> Iterator[str]:
    """All texts among a document's values.

    Raises:
        _UnfitError: it is too deep, as where an alias stands within its own anchor, or too large.
    """
    values, n_values = [(content, 0)], 0
    while values:
        value, depth = values.pop()
        n_values += 1
        if depth > MAX_DEPTH:
            raise _UnfitError(f"it is nested more than {MAX_DEPTH} deep")
        if n_values > MAX_VALUES:
            raise _UnfitError(f"it holds more than {MAX_VALUES:,} values, with those that its aliases stand for")

        if isinstance(value, dict) and "" in value:
            raise _UnfitError(f"a key is empty, with the value {str(value[''])[:40]!r}: give it a name")
        if isinstance(value, str):
            if "\0" in value:
                raise _UnfitError(f"the text {value[:40]!r} holds a NUL character, which no name or path can have")
            yield value
        elif isinstance(value, dict | list):
            parts = value.values() if isinstance(value, dict) else value
            values += [(part, depth + 1) for part in parts]


def similar_names(wrong: str, key: str) -> str:
    """What to add to the refusal of a file or class that does not exist: the near ones, and where all are.

    Args:
        wrong: the name that was given.
        key: of the setting; `config` for a config itself.
    """
    kind = PARTS.get(key.rpartition(".")[2], PARTS.get(key.split(".")[-2] if "." in key else "", ""))
    of_kind = _configs() / kind
    beside = Path(wrong).parent
    folders = [folder for folder in (beside if beside != Path() else None, of_kind) if folder and folder.is_dir()]
    files = {path.stem.lower(): str(path) for folder in reversed(folders) for path in sorted(folder.glob("*.yaml"))}
    classes = {} if key == "config" else _classes()

    stem = re.split(r"[/.]", wrong.removesuffix(".yaml").removesuffix(".yml"))[-1].lower()
    known = {**classes, **files} if wrong.endswith(ENDINGS) or "." not in wrong else classes
    similar = list(dict.fromkeys(known[name] for name in get_close_matches(stem, known, n=N_NEAR, cutoff=0.6)))
    hint = f"; near ones: {', '.join(similar)}" if similar else ""
    all_are = [*([f"{of_kind}/"] if of_kind.is_dir() else []), *(["docs/"] if kind else [])]
    return f"{hint}. All are in {' and '.join(all_are)}" if all_are else hint


def with_shipped(words: Sequence[str]) -> list[str]:
    """A command line in which configs that are shipped have their paths: `--config clustermine.yaml`.

    A file at the path that is given wins.
    """
    resolved: list[str] = []
    for previous, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        name = value if equals and option in CONFIG_OPTIONS else word
        is_config = name is not word or previous in CONFIG_OPTIONS
        path = None if not is_config or os.path.exists(os.path.expanduser(name)) else shipped_config(name)
        resolved.append(word if path is None else word.removesuffix(name) + str(path))
    return resolved


def _configs() -> Path:
    """The folder of shipped configs: of the current folder, else the project's."""
    here = Path("configs")
    return here if here.is_dir() else shipped("configs")


@cache
def _classes() -> dict[str, str]:
    """Class paths of the package by the classes' names in small letters, read from its files without importing them."""
    package = Path(str(resources.files("ood_lightning")))
    class_paths = {}
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for name in re.findall(r"^class ([A-Z]\w*)\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            class_paths[name.lower()] = f"{module}.{name}"
    return class_paths
