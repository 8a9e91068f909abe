"""One way to read settings: jsonargparse, with errors that name the nearest right key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from ood_lightning.errors import UserError


class BadSettings(UserError):
    """Settings that the parser refuses."""


def near_key(message: str, known: Iterable[str]) -> str:
    """The parser's message and, for an unknown key, the nearest right one."""
    found = re.search(
        r"(?:Unrecognized arguments: --|Key ['\"]|does not accept (?:option|nested key) ['\"])([\w.]+)", message
    )
    if not found:
        return message
    wrong = found.group(1).split("=")[0]
    leaf = {key.rpartition(".")[2]: key for key in known}
    near = get_close_matches(wrong, list(known), n=1, cutoff=0.75) or [
        leaf[name] for name in get_close_matches(wrong.rpartition(".")[2], list(leaf), n=1, cutoff=0.6)
    ]
    return f"{message}\nDid you mean {near[0]!r}?" if near else message


class StepParser(ArgumentParser):
    """Parser of the commands that need no Trainer."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse settings without a traceback."""
        raise BadSettings(near_key(message, known_keys(self)))


def known_keys(parser: ArgumentParser) -> list[str]:
    """Every key of a parser, also the init args of classes that its configs name."""
    keys = [action.dest for action in parser._actions if action.dest not in ("help", "config", "print_config")]
    keys += [argument for classes in _class_types(parser) for argument in _init_args(classes)]
    return keys


def _class_types(parser: ArgumentParser) -> list[type]:
    found = []
    for action in parser._actions:
        stack = [getattr(action, "_typehint", None)]
        while stack:
            hint = stack.pop()
            if isinstance(hint, type) and hint.__module__.startswith("ood_lightning"):
                found += [hint, *_subclasses(hint)]
            stack += list(getattr(hint, "__args__", ()))
    return found


def _subclasses(base: type) -> list[type]:
    direct: list[type] = base.__subclasses__()
    return direct + [deeper for sub in direct for deeper in _subclasses(sub)]


def _init_args(klass: type) -> list[str]:
    from inspect import signature

    return [name for name in signature(klass).parameters if name != "self"]


def run_step(function: Callable[..., int | None], given: list[str], command: str) -> int:
    """Parse `given` for a step's function and call it."""
    parser = StepParser(
        prog=f"python -m ood_lightning {command}", description=(function.__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("-c", "--config", action="config", help="YAML file with the keys below.")
    parser.add_function_arguments(function, sub_configs=True, fail_untyped=True)
    settings = parser.parse_args(given)
    settings.pop("config", None)
    built: Any = parser.instantiate_classes(settings)
    return function(**built.as_dict()) or 0
