"""One way to read the settings of commands that need no Trainer: jsonargparse reads the signature of a function."""

import json
import re
from argparse import Action
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import is_dataclass
from inspect import signature
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from ood_lightning.cli.config_files import check_files
from ood_lightning.cli.parser_messages import FORMS, known_keys, plain
from ood_lightning.cli.quick_imports import in_one_go
from ood_lightning.cli.yaml_names import use_for_all_parsers
from ood_lightning.errors import UserError
from ood_lightning.masking import masked

use_for_all_parsers()


class BadSettings(UserError):
    """Settings that the parser refuses."""


class PlainErrors(ArgumentParser):
    """A parser that refuses settings in our words and without a traceback, and never shows passwords of addresses."""

    def dump(self, cfg: Namespace | dict[str, Any], *args: Any, **options: Any) -> str:
        """Settings as text, for `--print_config`, `config.yaml` and loggers; texts are masked."""
        text: str = super().dump(_masked(cfg), *args, **options)
        return text

    def format_help(self, *args: Any, **options: Any) -> str:
        """The help; jsonargparse takes a blank back by a backspace, which is a character of its own in files."""
        return str(super().format_help(*args, **options)).replace(" \b", "")

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what `main` prints."""
        raise BadSettings(masked(plain(message, known_keys(self))))

    def _check_value_key(self, action: Action, value: Any, key: str, *args: Any, **options: Any) -> Any:
        """Refuse what is no list for a list that is given without its name: jsonargparse would go through its parts."""
        if action.nargs == "+" and not isinstance(value, list):
            raise TypeError(f"Parser key \"{key}\":\n  Expected a <class 'list'>. Got value: {value}")
        return super()._check_value_key(action, value, key, *args, **options)


def _masked(settings: Any) -> Any:
    """Settings whose texts are masked; other objects stay the same."""
    if isinstance(settings, str):
        return masked(settings)
    if isinstance(settings, Namespace):
        return Namespace({key: _masked(value) for key, value in vars(settings).items()})
    if isinstance(settings, dict):
        return {key: _masked(value) for key, value in settings.items()}
    return [_masked(value) for value in settings] if type(settings) is list else settings


def run_step(function: Callable[..., int | None], argv: list[str], command: str) -> int:
    """Call a step's function with the settings of a command line; returns the exit status."""
    return function(**parsed(function, argv, command)) or 0


def parsed(function: Callable[..., int | None], argv: list[str], command: str) -> dict[str, Any]:
    """Arguments of a step's function, read from a command line; classes that it names are built.

    Args:
        function: its signature holds types and defaults, its docstring the help.
        argv: what stands behind the command's name.
        command: the name, for the help.

    Raises:
        BadSettings: unknown keys, values of another type, or files that do not exist.
    """
    parser = PlainErrors(
        prog=f"python -m ood_lightning {command}",
        description=(function.__doc__ or "").split("\n\n")[0],
        allow_abbrev=False,  # or `--min_image` would mean min_images today and something else after the next key
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with the keys below.")
    positional: set[str | int] = set()
    parameters = signature(function).parameters.values()
    first = next(iter(parameters), None)
    if first is not None and str(first.annotation) == "list[str]":  # is given without its name: `report runs/a runs/b`
        positional = {first.name}
        parser.add_argument(first.name, nargs="+", type=str, help=_help_of(function, first.name))
    parser.add_function_arguments(function, sub_configs=True, fail_untyped=True, skip=positional)

    list_options = {f"--{option.name}" for option in parameters if str(option.annotation).startswith("list[str]")}
    switches = {option.name for option in parameters if option.annotation in (bool, "bool")}
    argv = _without_bare(argv, switches, has_positional=bool(positional))
    check_files(argv)
    with in_one_go():  # the classes that settings name are imported here
        settings = parser.parse_args(_joined(argv, list_options))
    settings.pop("config", None)
    for group in (option.name for option in parameters if is_dataclass(option.default)):
        if not isinstance(settings[group], Namespace):
            raise BadSettings(f"{group} is {settings[group]!r}: expected {FORMS['dict']}")
    built: dict[str, Any] = parser.instantiate_classes(settings).as_dict()
    return built


def _without_bare(argv: list[str], switches: set[str], has_positional: bool) -> list[str]:
    """Write out switches, which are on where they are named: `--exit-code` as `--exit_code=true`.

    Args:
        argv: of the command.
        switches: names of settings that are true or false.
        has_positional: a word behind a switch may belong to the command itself, and not to the switch.

    Example:
        >>> _without_bare(["x", "--exit-code", "y", "--verify", "false"], {"exit_code", "verify"}, has_positional=True)
        ['x', '--exit_code=true', 'y', '--verify', 'false']
    """
    written = []
    for word, following in zip(argv, [*argv, ""][1:], strict=True):
        name = word.removeprefix("--").replace("-", "_")
        is_switch = word.startswith("--") and name in switches
        is_value = following.lower() in ("true", "false", "yes", "no")
        is_next = has_positional or not following or following.startswith("-")
        written.append(f"--{name}=true" if is_switch and is_next and not is_value else word)
    return written


def _help_of(function: Callable[..., int | None], name: str) -> str:
    """What a function's docstring says of a parameter, on one line."""
    described = re.search(rf"^ +{name}: (.+(?:\n {{9,}}.+)*)", function.__doc__ or "", re.MULTILINE)
    return " ".join(described.group(1).split()) if described else ""


def _joined(argv: list[str], list_options: set[str]) -> list[str]:
    """Write lists as the parser wants them: `--ood A B` and `--ood A --ood B` as `--ood=["A", "B"]`.

    What is a list or null already stays as it is.

    Example:
        >>> _joined(["x", "--ood", "a", "b", "--near=1", "--ood=c"], {"--ood"})
        ['x', '--near=1', '--ood=["a", "b", "c"]']
    """
    words = deque(argv)
    rest: list[str] = []
    lists = defaultdict[str, list[str]](list)

    while words:
        word = words.popleft()
        option, equals, value = word.partition("=")
        first = value if equals else next(iter(words), "")
        complete = first.startswith(("[", "-")) or first in ("", "null")

        if option not in list_options or complete:
            rest.append(word)
        elif equals:
            lists[option].append(value)
        else:
            while words and not words[0].startswith("-"):
                lists[option].append(words.popleft())

    return rest + [f"{option}={json.dumps(texts)}" for option, texts in lists.items()]
