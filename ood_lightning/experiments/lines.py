"""A sweep's lines: what each runs, and where it writes."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ood_lightning.errors import SettingsError
from ood_lightning.file_names import check_names
from ood_lightning.text_files import lines_of

OWN_FOLDER = ("fit", "test")  # commands whose folder is a setting of the Trainer
COMMANDS = (*OWN_FOLDER, "run", "embed", "mine", "filter", "report")
_LINE = re.compile(r"\s*([^\s:-][^\s:]*):\s+(.*)")


class Step(NamedTuple):
    """One command of a line.

    Attributes:
        command: its name; empty where the line leaves it to its settings, which only one command has.
        words: its arguments; `{fit}` in them stands for the folder of the line's step `fit`.
    """

    command: str
    words: tuple[str, ...]


class Line(NamedTuple):
    """What runs under one name, one step after the other.

    Attributes:
        name: of the line's folder.
        steps: at least one.
        values: of the grid's settings by their names; empty for a line that was written out.
    """

    name: str
    steps: tuple[Step, ...]
    values: Mapping[str, str]

    def folder(self, out: Path, step: Step) -> Path:
        """Where a step writes: the line's folder, or one below it where there are several steps."""
        return out / self.name if len(self.steps) == 1 else out / self.name / step.command

    def words(self, out: Path, step: Step) -> list[str]:
        """A step's arguments, the folders of the line's steps put in."""
        if not self.values:  # written out: nothing is put in
            return list(step.words)
        folders = {other.command: str(self.folder(out, other)) for other in self.steps}
        return [put_in(word, folders) for word in step.words]

    def value(self, key: str) -> str | None:
        """What a setting is: the grid's, or the last option `--KEY` of the last step that has one; None: not set."""
        if key in self.values:
            return self.values[key]

        value = None
        for step in self.steps:
            for word, following in zip(step.words, [*step.words[1:], ""], strict=False):
                option, equals, of_option = word.partition("=")
                if option == f"--{key}":
                    value = of_option if equals else following
        return value


def put_in(word: str, values: Mapping[str, str]) -> str:
    """A word with `{NAME}` replaced where NAME is among the values; all other braces stand for themselves.

    Example:
        >>> put_in('{c}/{d}.{"c": 1}', {"c": "x"})
        'x/{d}.{"c": 1}'
    """
    return re.sub(r"\{([^{}]+)\}", lambda match: values.get(match[1], match[0]), word)


def read_lines(text: str, source: Path) -> list[Line]:
    """The lines `NAME: ARGUMENTS` of a text; empty ones and those that begin with `#` do not count.

    Quotes and backslashes are read as a shell reads them, and nothing is expanded. The first argument may be a command;
    else it is the one whose settings the others are.

    Args:
        text: of the file.
        source: the file, for errors.

    Raises:
        SettingsError: names the line.
    """
    lines = []
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise SettingsError(f"{source}, line {number} is not 'NAME: ARGUMENTS': {line.strip()[:80]}")
        words = split(match[2], f"{source}, line {number}")
        lines.append(Line(match[1], (_step(words),), {}))

    return checked_lines(lines, source)


def _step(words: Sequence[str]) -> Step:
    command = words[0] if words and words[0] in COMMANDS else ""
    return Step(command, tuple(words[1:] if command else words))


def split(text: str, where: str) -> list[str]:
    """Words of a text as a shell reads them, with nothing expanded.

    Args:
        text: to split.
        where: it stands, for errors.

    Raises:
        SettingsError: a quote or a backslash has nothing behind it.
    """
    try:
        return shlex.split(text)
    except ValueError:
        raise SettingsError(f"{where} has a quote or a backslash without its partner: {text[:80]}") from None


def checked_lines(lines: Sequence[Line], source: Path) -> list[Line]:
    """The same lines, if there are some, each with a name of its own that a folder can have.

    Args:
        lines: of the sweep.
        source: its file, for errors.
    """
    if not lines:
        raise SettingsError(f"{source} has no lines: expected `NAME: ARGUMENTS`, or a grid in YAML")
    names = [line.name for line in lines]
    check_names("line", names)
    if twice := repeated(names):
        raise SettingsError(f"{source}: two lines have the name {twice}: they would write into one folder")
    return list(lines)


def repeated(names: Iterable[str]) -> str:
    """The first name that comes twice; empty if none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
