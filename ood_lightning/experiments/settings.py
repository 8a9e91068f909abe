"""The hash of a line's settings: its arguments, and what the files that they name contain."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.errors import UserError
from ood_lightning.experiments.lines import Line, Step
from ood_lightning.hashes import sha256_of
from ood_lightning.places import expanded, shipped_config
from ood_lightning.report.one_run import DONE

CONFIG_ENDINGS = (".yaml", ".yml")
WRITTEN = "--out"  # names what the step itself writes


def settings_hashes(line: Line) -> list[str]:
    """A hash for each step of a line, 16 hexadecimal digits; a step's counts in those of the steps after it.

    Folders of the line's own steps count by their names, `{fit}`, so that a sweep may lie anywhere. Of a folder or a
    set of images that is named nothing but its name counts; of an evaluation that `report` reads, its hash.
    """
    files = Files()
    hashes: list[str] = []
    for step in line.steps:
        content = [step.command, list(step.words), files.of_step(step), hashes]
        hashes.append(sha256(json.dumps(content).encode("utf-8", "surrogatepass")).hexdigest()[:16])
    return hashes


class Files:
    """The files that settings name, by what they contain; each is read once."""

    def __init__(self) -> None:
        self._known: dict[Path, Any] = {}

    def of_step(self, step: Step) -> list[Any]:
        """What the files contain that a step's arguments name, in the order of the arguments."""
        counted: list[Any] = []
        for previous, word in zip(["", *step.words], step.words, strict=False):
            option, equals, value = word.partition("=")
            is_option = word.startswith("-") and bool(equals)
            if WRITTEN in (option, previous):
                continue
            text = value if is_option else word
            if step.command == "report":
                counted += self._of_text(str(Path(text, DONE)), Path())
            counted += self._of_text(text, Path())
        return counted

    def _of_text(self, text: str, folder: Path) -> list[Any]:
        """The contents of the file that a text names, or of those that a mapping or a list in it names."""
        path = _file(text, folder)
        if path is None:
            return self._of_parts(text, folder) if text.lstrip().startswith(("{", "[")) else []

        path = path.resolve()
        if path not in self._known:
            self._known[path] = None  # a config that names itself counts once
            content: list[Any] = [sha256_of(path)]
            if path.suffix in CONFIG_ENDINGS:
                content += self._of_parts(path.read_bytes().decode("utf-8", "replace"), path.parent)
            self._known[path] = content
        return [self._known[path]]

    def _of_parts(self, text: str, folder: Path) -> list[Any]:
        try:
            content = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            return []  # the command refuses it in its own words
        return [part for named in _texts(content) for part in self._of_text(named, folder)]


def _file(text: str, folder: Path) -> Path | None:
    """The file that a setting names: beside its config, from the current folder, or a shipped config."""
    if not text.strip() or "\0" in text or "\n" in text or len(text) > 1000:
        return None
    try:
        for path in (folder / expanded(text), expanded(text)):
            if path.is_file():
                return path
    except (UserError, OSError):
        return None
    return shipped_config(text) if text.endswith(CONFIG_ENDINGS) else None


def _texts(content: Any) -> Iterator[str]:
    """All texts of a document but keys; not those of a mapping or list that is met again."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            waiting += reversed(list(value.values()) if isinstance(value, dict) else value)
