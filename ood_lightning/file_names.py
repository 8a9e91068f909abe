"""Names that become names of files and folders: one rule, whoever chose them.

A set's manifest may come from another machine, and a name in it must not lead features or shards out of the folder
that they belong in.
"""

import re
from collections.abc import Iterable

from ood_lightning.errors import SettingsError

LONGEST = 150  # bytes; with a hash and an ending a name stays below the 255 that file systems allow
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def name_fault(name: str) -> str:
    r"""Why a text cannot name a file or folder, as the end of an error; empty: it can.

    Example:
        >>> name_fault("../x"), name_fault("imagenet-a")
        ('it holds / or \\, so it would lead to another folder: use letters, digits, - and _', '')
    """
    if "/" in name or "\\" in name:
        return "it holds / or \\, so it would lead to another folder: use letters, digits, - and _"
    if not name.strip() or name.startswith("."):
        return "it is empty or begins with a dot: use letters, digits, - and _"
    if _CONTROL.search(name):
        return "it holds a control character or half of one: use letters, digits, - and _"
    if len(name.encode()) > LONGEST:
        return f"it has {len(name.encode())} bytes, at most {LONGEST} fit into the name of a file: shorten it"
    return ""


def safe_name(name: str, fallback: str) -> str:
    r"""A text without what :func:`name_fault` refuses, as the name of a file or folder.

    Example:
        >>> safe_name("Urlaub 2024", "x"), safe_name("..a\tb", "x"), safe_name("/", "x")
        ('Urlaub 2024', 'a-b', '-')
    """
    plain = _CONTROL.sub("-", re.sub(r"[/\\]", "-", name))
    plain = re.sub(r"^[\s.]+", "", plain)
    while len(plain.encode()) > LONGEST:
        plain = plain[:-1]
    return plain.rstrip() or fallback


def check_names(kind: str, names: Iterable[str]) -> None:
    """Refuse names that a config gives and that cannot name files.

    Args:
        kind: what they name, such as `label set`.
        names: to check.

    Raises:
        SettingsError: one cannot.
    """
    for name in names:
        if fault := name_fault(name):
            raise SettingsError(f"the {kind} {name!r} is written to a file of its name, but {fault}")


def path_fault(path: str) -> str:
    """Why a path does not lead to a file below its folder, as the end of an error; empty: it does.

    Example:
        >>> path_fault("a/../../x"), path_fault("train/000.tar")
        ("it lies outside the set's folder: expected a path below it", '')
    """
    if path.startswith("/") or ".." in re.split(r"[/\\]", path):
        return "it lies outside the set's folder: expected a path below it"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path):  # a scheme, such as `pipe:`
        return "it begins like an address: expected a path below the set's folder"
    if not path.strip("./ ") or _CONTROL.search(path):
        return "it is empty, or holds a control character or half of one: expected a path below the set's folder"
    return ""
