"""A sweep as a grid: steps with fixed arguments, and lists of values for named settings."""

import re
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, ClassVar

from ood_lightning.data.artifacts.typed import STRICT, decode_yaml
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.lines import COMMANDS, Line, Step, checked_lines, put_in, split

MOST_LINES = 10_000
FILE_ENDINGS = (".yaml", ".yml", ".txt", ".json")

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Grid:
    """What a grid's file holds.

    Args:
        steps: commands and their arguments, in the order in which they run.
        grid: values by the names of settings; a mapping gives each value a name of its own.
    """

    __pydantic_config__: ClassVar = STRICT

    steps: dict[str, str]
    grid: dict[str, list[Value] | dict[str, Value]]


def read_grid(text: str, source: Path) -> list[Line]:
    """The lines of a grid: every combination of its values, those of the last setting changing fastest.

    Args:
        text: YAML.
        source: the file, for errors.

    Raises:
        SettingsError: names what is wrong and where.
    """
    grid = decode_yaml(text, Grid, str(source), SettingsError)
    steps = _steps(grid, source)

    settings = {key: named_values(key, values, source) for key, values in grid.grid.items()}
    if (n_lines := prod(map(len, settings.values()))) > MOST_LINES:
        raise SettingsError(f"{source} stands for {n_lines:,} lines: at most {MOST_LINES:,} are run")

    lines = []
    for combination in product(*(values.items() for values in settings.values())):
        values = dict(zip(settings, (value for _, value in combination), strict=True))
        named = dict(zip(settings, (name for name, _ in combination), strict=True))
        to_show = {key: named[key] if isinstance(grid.grid[key], dict) else value for key, value in values.items()}
        of_line = tuple(Step(step.command, tuple(put_in(word, values) for word in step.words)) for step in steps)
        lines.append(Line("_".join(named_part(key, name) for key, name in named.items()), of_line, to_show))

    return checked_lines(lines, source)


def _steps(grid: Grid, source: Path) -> list[Step]:
    """The steps with `{SETTING}` where values go; of one step, also what names none is an option."""
    if not grid.steps or not grid.grid:
        raise SettingsError(f"{source} has no {'grid' if grid.steps else 'steps'}: expected at least one")
    if unknown := [name for name in grid.steps if name not in COMMANDS]:
        raise SettingsError(f"{source}: the step {unknown[0]!r} is none of {', '.join(COMMANDS)}")
    if both := grid.steps.keys() & grid.grid.keys():
        raise SettingsError(f"{source}: {min(both)!r} is a step, and cannot be a setting too: rename it")

    steps = [Step(command, tuple(split(text, f"{source}, {command}"))) for command, text in grid.steps.items()]
    for key in grid.grid:
        if any(f"{{{key}}}" in word for step in steps for word in step.words):
            continue
        if len(steps) > 1:
            raise SettingsError(f"{source}: no step names {{{key}}}: write it where its values go, in one step or more")
        steps = [Step(steps[0].command, (*steps[0].words, f"--{key}={{{key}}}"))]

    done: list[str] = []
    for step in steps:
        later = [other.command for other in steps if other.command not in (*done, step.command)]
        if too_early := [name for name in later if any(f"{{{name}}}" in word for word in step.words)]:
            raise SettingsError(f"{source}: {step.command} names {{{too_early[0]}}}, which runs after it")
        done.append(step.command)
    return steps


def named_values(key: str, values: list[Value] | dict[str, Value], source: Path) -> dict[str, str]:
    """The values of a setting as texts, by the names that stand in the names of lines.

    Args:
        key: the setting.
        values: of the grid; a mapping gives each a name of its own.
        source: the file, for errors.

    Raises:
        SettingsError: there is none, or two would have one name.
    """
    if not values:
        raise SettingsError(f"{source}: grid.{key} has no values: expected one or more")
    pairs: list[Any] = list(values.items()) if isinstance(values, dict) else [(_text(value), value) for value in values]
    named: dict[str, str] = {}
    for name, value in pairs:
        short = _short(name)
        if short in named:
            raise SettingsError(
                f"{source}: two values of grid.{key} would be called {short!r}: name them, as `NAME: VALUE`"
            )
        named[short] = _text(value)
    return named


def _text(value: Value) -> str:
    """A value as a command line has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _short(name: str) -> str:
    """A value's name without what folders should not have; of a file its name alone.

    Example:
        >>> _short("configs/prompts/ming5.yaml"), _short("0.1"), _short('{"a": 1}')
        ('ming5', '0.1', 'a-1')
    """
    last = Path(name).stem if name.endswith(FILE_ENDINGS) else name
    return re.sub(r"[^\w.+-]+", "-", last, flags=re.ASCII).strip("-.") or "empty"


def named_part(key: str, name: str) -> str:
    """A setting's part of a line's name.

    Example:
        >>> named_part("model.n_clusters", "16")
        'n_clusters-16'
    """
    return f"{_short(key.rpartition('.')[2])}-{name}"
