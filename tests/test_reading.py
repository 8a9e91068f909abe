"""How package and tests are written: paragraphs, sizes of files, and names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from old_names import OLD_NAMES, RIGHT_KEYS, RIGHT_WORDS, old_options
from source_files import PACKAGE_FILES, ROOT, TEST_FILES, bodies, lines_of, named, relative

PARAGRAPH = 15  # lines of a body that need a blank one among them
LONGEST_FILE = 300  # lines
BLANK_SHARE = 0.06  # of all lines inside the package's functions


def listed(what: str, offenders: list[str]) -> str:
    """A message with a line for every offender, whatever pytest would cut."""
    return "\n".join([f"{len(offenders)} {what}:", *offenders])


@pytest.mark.slow
def test_a_long_function_has_paragraphs():
    pressed = [
        body.where
        for path in PACKAGE_FILES + TEST_FILES
        for body in bodies(path)
        if len(body.numbers) >= PARAGRAPH and not body.blank
    ]
    assert not pressed, listed(f"functions of {PARAGRAPH} lines or more without a blank line", pressed)


@pytest.mark.slow
def test_the_package_has_blank_lines_between_its_steps():
    n_lines = n_blank = 0
    for path in PACKAGE_FILES:
        of_file = list(bodies(path))
        n_lines += len({number for body in of_file for number in body.numbers})
        n_blank += len({number for body in of_file for number in body.blank})
    assert n_blank / n_lines >= BLANK_SHARE, f"{n_blank} of {n_lines} lines in function bodies are blank"


def test_no_file_of_the_package_is_long():
    sizes = {relative(path): len(lines_of(path)) for path in PACKAGE_FILES}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FILE} == {}


@pytest.mark.slow
def test_no_old_name_comes_back():
    old = [
        f"{relative(path)}:{line} {name}"
        for path in PACKAGE_FILES + TEST_FILES
        for line, name in named(path)
        if name in OLD_NAMES and (relative(path), name) not in RIGHT_WORDS
    ]
    assert not old, listed("old names", old)


@pytest.mark.slow
def test_every_exception_for_a_name_is_still_needed():
    used = {(relative(path), name) for path in PACKAGE_FILES + TEST_FILES for _, name in named(path)}
    assert set(RIGHT_WORDS) <= used


def keys_of(settings: Any) -> Iterator[str]:
    """Keys of all mappings of a config."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield str(key)
            yield from keys_of(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from keys_of(value)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=relative)
def test_no_key_of_a_config_is_an_old_name(path: Path):
    keys = set(keys_of(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert not keys & OLD_NAMES - set(RIGHT_KEYS)


def test_an_old_option_would_be_seen():
    """The commands' own `--help` is looked at where it is tested."""
    assert old_options("--near COSINE --against CARD --model.needs X --nearest") == {"against", "model.needs"}
