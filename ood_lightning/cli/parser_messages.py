"""What jsonargparse says, and what we say instead: one table, and the private attributes of parsers that we read.

jsonargparse promises nothing about the words of its messages nor about names that begin with `_`. All that depends on
them stands here, as release 4.53 has it; `tests/cli/test_parser_messages.py` provokes each message from the release
that is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ood_lightning.cli.config_files import ENDINGS, similar_names

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

SETS_NOTHING = ("h", "help", "c", "config", "print_config", "print_shtab")  # options that are no settings
N_LISTED = 9  # keys that an error lists
N_LINES = 12  # of a message that we have no words for; it may hold a whole file that was no config
FORMS = {
    "list": "a list, `[A, B]`",
    "dict": "a mapping, `{KEY: VALUE}`",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
NO_KEY = "there is no key"


def _without_key(match: re.Match[str], keys: list[str]) -> str:
    settings = [f"--{key}" for key in keys if key not in SETS_NOTHING and "." not in key]
    more = " and more" if len(settings) > N_LISTED else ""
    return (
        f"{match['value']!r} stands alone: a setting is given as --KEY VALUE, and the keys here are "
        f"{', '.join(settings[:N_LISTED])}{more}"
    )


def _no_such_file(match: re.Match[str], keys: list[str]) -> str:
    key, path = match["key"], match["path"]
    return f"{key} is {path!r}: there is no such file, nor is it the path of a class{similar_names(path, key)}"


def _no_such_class(match: re.Match[str], keys: list[str]) -> str:
    key, path = re.search(rf"Parser key \"{KEY}\"", match.string), match["path"]
    dotted = "is no file, nor the path of a class" if path.endswith(ENDINGS) else "is not the path of a class"
    return f"{path!r} {dotted}{similar_names(path, key['key'] if key else '')}"


def _other_type(match: re.Match[str], keys: list[str]) -> str:
    return f"{match['key']} is {match['value']!r}: expected {FORMS[match['form']]}"


def _unknown(match: re.Match[str], keys: list[str]) -> str:
    wrong, group = match["key"], match.groupdict().get("group")
    if group and not wrong.startswith(f"{group}."):
        wrong = f"{group}.{wrong}"
    return unknown_key(wrong, keys)


def unknown_key(wrong: str, keys: list[str]) -> str:
    """The refusal of a key that does not exist, with the nearest right one.

    Args:
        wrong: the key, with those above it.
        keys: all that there are.
    """
    first = wrong.partition(".")[0]
    known_parts = {part for key in keys for part in key.split(".")}
    names = [wrong] if first in known_parts else [wrong, first]  # a misspelt key may have been given keys below it
    similar = [like(name, keys) for like in (_like_whole, _like_last_part) for name in names]

    nearest = next(filter(None, similar), None)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return f"{NO_KEY} {wrong!r}{hint}"


KEY = r"(?P<key>[\w.]+)"
OTHER_VALUE = rf"(?s)\A\s*Parser key \"{KEY}\":\s+Expected a %s\. Got value: (?P<value>.*?)\s*\Z"
SCALAR = r"(?P<value>True|False|None|[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan))"  # what YAML makes of some texts
# By kind: a pattern of what jsonargparse says, searched in the whole message, and what we say instead: a text with the
# pattern's groups, or made of the match and all keys of the parser. The first that matches counts.
MESSAGES: dict[str, tuple[str, str | Callable[[re.Match[str], list[str]], str]]] = {
    "init_args without class_path": (
        rf"(?s)Parser key \"{KEY}\":.*(?:Given|Got) value: \{{'init_args': ",
        "{key} is given init_args and no class_path. A config that changes another one comes after it, "
        "--config FIRST --config SECOND: the command stands in its first line",
    ),
    "value without key": (r"unrecognized arguments: (?P<value>[^-\s]\S*)", _without_key),
    "class of another kind": (
        rf"(?s)\AParser key \"{KEY}\":\s+- Expected a path but (?P<path>\S+) either not accessible or invalid"
        r".*Import path.* does not correspond to a subclass of (?P<kind>\w+)",
        "{key} is {path!r}, which is no {kind}",
    ),
    "file of another kind": (  # taken for a path once more, since what it holds fits no class
        rf"{KEY}\"?:\s+Config file loop detected: (?P<path>.+) -> (?P=path)$",
        "{key} is {path!r}, which names a class of another kind",
    ),
    "no such file": (
        rf"\AParser key \"{KEY}\":\s+- Expected a path but (?P<path>[^{{\n].*) either not accessible or invalid",
        _no_such_file,
    ),
    "no such class in a mapping": (
        r"(?:Unexpected import path format: |Problem with given class_path ')(?P<path>[^\s']+)"
        r"(?:$|':\s+(?:- )?(?:[Mm]odule \S+ has no attribute|No module named))",
        _no_such_class,
    ),
    "other choice": (
        OTHER_VALUE % r"typing\.Literal\[(?P<choices>.+)\]",
        "{key} is {value!r}: expected one of {choices}",
    ),
    "no text": (
        rf"(?s)\AParser key \"{KEY}\":.*?Expected a <class 'str'>.*?G(?:ot|iven) value: {SCALAR}(?=\s|\Z)",
        "{key} holds {value} where a text belongs. YAML reads no, off, null and 1e3 as something else: put quotes "
        "around names",
    ),
    "other type": (OTHER_VALUE % f"<class '(?P<form>{'|'.join(FORMS)})'>", _other_type),
    "unknown key, named by a class's parser": (rf"(?s)\A.*^[\s-]*(?P<ours>{NO_KEY} [^\n]+)", "{ours}"),
    "unknown option": (rf"unrecognized arguments: -{{0,2}}{KEY}", _unknown),
    "unknown key in a file": (rf"Option '{KEY}' is not accepted", _unknown),
    "unknown key of a command or group": (
        rf"(?:Group '(?P<group>[\w.]+)' )?does not accept option '{KEY}'",
        _unknown,
    ),
}
NOISE = (  # beginnings of lines that list types
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value",
    "- Expected a <class 'NoneType'>",
    "Parser key",
)


def plain(message: str, known: Iterable[str]) -> str:
    """The parser's message in our words; an unknown key is named together with the nearest right one.

    Args:
        message: of jsonargparse.
        known: all keys of the parser.
    """
    keys = list(known)
    for pattern, ours in MESSAGES.values():
        if match := re.search(pattern, message, re.MULTILINE):
            return ours.format(**match.groupdict()) if isinstance(ours, str) else ours(match, keys)

    # a message of another kind: in few lines, headed by its key
    stripped = (line.strip() for line in message.splitlines())
    lines = [line.removeprefix("- ") for line in stripped if line and not line.startswith(NOISE)]
    if not lines:
        return message

    key = re.match(r'Parser key "([\w.]+)"(?: element \d+)?:', message)
    return (f"{key[1]}: " if key else "") + "\n".join([*lines[:N_LINES], *(["..."] if len(lines) > N_LINES else [])])


def _like_whole(wrong: str, keys: list[str]) -> str | None:
    return next(iter(get_close_matches(wrong, keys, n=1, cutoff=0.8)), None)


def _like_last_part(wrong: str, keys: list[str]) -> str | None:
    by_last_part = {key.rpartition(".")[2]: key for key in keys}
    similar = get_close_matches(wrong.rpartition(".")[2], by_last_part, n=1)
    return by_last_part[similar[0]] if similar else None


def known_keys(parser: ArgumentParser) -> list[str]:
    """Every key of a parser and of its subcommands."""
    keys = []
    for action in parser._actions:
        subparsers = getattr(action, "_name_parser_map", None) or {}
        for subparser in subparsers.values():
            keys += known_keys(subparser)
        keys += [option.lstrip("-") for option in action.option_strings] or [action.dest]
    return keys
