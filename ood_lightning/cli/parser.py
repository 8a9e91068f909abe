"""One way to read settings: jsonargparse, with errors that name the nearest right key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from inspect import signature
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from ood_lightning.errors import UserError


class BadSettings(UserError):
    """Settings that the parser refuses."""


UNKNOWN = (
    r"unrecognized arguments: -{0,2}([\w.]+)",
    r"Option '([\w.]+)' is not accepted",
    r"[Kk]ey '([\w.]+)' is not expected",
    r"does not accept (?:option|nested key|key) '([\w.]+)'",
    r"ambiguous option: --([\w.]+)",
    r"No action for key '([\w.]+)'",
)


ALONE = r"unrecognized arguments: ([^-\s]\S*)"
NO_FILE = r"Parser key \"([\w.]+)\":\s+- Expected a path but (.+) either not accessible or invalid"
OTHER_TYPE = (
    r"Parser key \"([\w.]+)\":\s+Expected a (?:typing\.Literal\[(.+)\]|<class '(list|dict)'>)\. Got value: (.*)"
)
OWN = ("h", "help", "c", "config", "print_config", "print_shtab")  # keys that set nothing
FORMS = {"list": "a list, `[A, B]`", "dict": "a mapping, `{KEY: VALUE}`"}
NO_CLASS = r"Parser key \"([\w.]+)\":.*Given value: \{'init_args': "
NOISE = ("Does not validate", "Subtypes:", "Errors:", "Given value", "- Expected a <class 'NoneType'>", "Parser key")


def near_key(message: str, known: Iterable[str]) -> str:
    """The parser's message without its lists of types, headed by the nearest right key for an unknown one."""
    if classless := re.search(NO_CLASS, message, re.DOTALL):
        return (
            f"{classless.group(1)} is given init_args and no class_path. A config that changes another one comes after "
            f"it, --config FIRST --config SECOND: the command stands in its first line"
        )
    if alone := re.search(ALONE, message):
        keys = [f"--{key}" for key in known if key not in OWN and "." not in key]
        return (
            f"{alone.group(1)!r} stands alone: a setting is given as --KEY VALUE, and the keys here are "
            f"{', '.join(keys[:9])}{' and more' * (len(keys) > 9)}"
        )
    if no_file := re.match(NO_FILE, message):
        return f"{no_file.group(1)} is {no_file.group(2)!r}: there is no such file, nor is it the path of a class"
    if other := re.fullmatch(OTHER_TYPE, message.strip(), re.DOTALL):
        key, choices, form, value = other.groups()
        return f"{key} is {value.strip()!r}: expected {f'one of {choices}' if choices else FORMS[form]}"
    stripped = (line.strip() for line in message.splitlines())
    lines = [line.removeprefix("- ") for line in stripped if line and not line.startswith(NOISE)]
    told = [line for line in lines if line.startswith("there is no key")]
    if told:  # an inner parser, of a class's own arguments, knew better
        return told[-1]
    found = next((match for pattern in UNKNOWN if (match := re.search(pattern, message))), None)
    if not found:
        key = re.match(r'Parser key "([\w.]+)":', message)
        return (f"{key[1]}: " if key else "") + "\n".join(lines) if lines else message
    wrong, keys = found.group(1), list(known)
    near = _nearest(wrong, keys)
    first = wrong.partition(".")[0]
    if not near and first not in {part for key in keys for part in key.split(".")}:
        near = _nearest(first, keys)  # a misspelt key that was given keys of its own
    return f"there is no key {wrong!r}" + (f"; did you mean {near!r}?" if near else "")


def _nearest(wrong: str, keys: list[str]) -> str | None:
    """The key most like a wrong one, as a whole or by its last part."""
    leaves = {key.rpartition(".")[2]: key for key in keys}
    leaf = get_close_matches(wrong.rpartition(".")[2], list(leaves), n=1)
    near = get_close_matches(wrong, keys, n=1, cutoff=0.8) or [leaves[name] for name in leaf]
    return near[0] if near else None


class StepParser(ArgumentParser):
    """Parser of the commands that need no Trainer."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse settings without a traceback."""
        raise BadSettings(near_key(message, known_keys(self)))


def known_keys(parser: ArgumentParser) -> list[str]:
    """Every key of a parser and of its subcommands."""
    keys = []
    for action in parser._actions:
        keys += [key for sub in (getattr(action, "_name_parser_map", None) or {}).values() for key in known_keys(sub)]
        keys += [option.lstrip("-") for option in action.option_strings] or [action.dest]
    return keys


def run_step(function: Callable[..., int | None], given: list[str], command: str) -> int:
    """Parse `given` for a step's function and call it."""
    return function(**parsed(function, given, command)) or 0


def parsed(function: Callable[..., int | None], given: list[str], command: str) -> dict[str, Any]:
    """What `given` says of the parameters of a step's function.

    Raises:
        BadSettings: it says something else.
    """
    parser = StepParser(
        prog=f"python -m ood_lightning {command}",
        description=(function.__doc__ or "").split("\n\n")[0],
        allow_abbrev=False,  # or `--min_image` would mean min_images today and something else after the next key
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with the keys below.")
    skip = _add_positional(parser, function)
    parser.add_function_arguments(function, sub_configs=True, fail_untyped=True, skip=skip)
    settings = parser.parse_args(_joined(given, _lists_of_texts(function)))
    settings.pop("config", None)
    built: dict[str, Any] = parser.instantiate_classes(settings).as_dict()
    return built


def _add_positional(parser: ArgumentParser, function: Callable[..., int | None]) -> set[str | int]:
    """A first parameter that is a list of texts is given without its name: `report runs/a runs/b`."""
    first = next(iter(signature(function).parameters.values()))
    if first.annotation != "list[str]":
        return set()
    parser.add_argument(first.name, nargs="+", type=str, help=_told(function, first.name))
    return {first.name}


def _told(function: Callable[..., int | None], name: str) -> str:
    """What a step's docstring says of a parameter."""
    found = re.search(rf"^ +{name}: (.+(?:\n {{9,}}.+)*)", function.__doc__ or "", re.MULTILINE)
    return " ".join(found.group(1).split()) if found else ""


def _lists_of_texts(function: Callable[..., int | None]) -> set[str]:
    return {p.name for p in signature(function).parameters.values() if str(p.annotation).startswith("list[str]")}


def _joined(given: list[str], lists: set[str]) -> list[str]:
    """`--ood A B` and `--ood A --ood B` as the parser wants them: `--ood=["A", "B"]`; what is a list already stays.

    >>> _joined(["x", "--ood", "a", "b", "--near=1", "--ood=c"], {"ood"})
    ['x', '--near=1', '--ood=["a", "b", "c"]']
    """
    rest, values = [], dict[str, list[str]]()
    into: list[str] | None = None
    for i, word in enumerate(given):
        option, equals, value = word.partition("=")
        if option.startswith("--") and option[2:] in lists:
            first = value if equals else next(iter(given[i + 1 : i + 2]), "")
            if first.startswith(("[", "-")) or first in ("", "null"):
                rest.append(word)
                into = None
                continue
            values.setdefault(option, [])
            into = None if equals else values[option]
            values[option] += [value] * bool(equals)
        elif into is not None and not word.startswith("-"):
            into.append(word)
        else:
            rest.append(word)
            into = None
    return rest + [f"{option}={json.dumps(texts)}" for option, texts in values.items()]
