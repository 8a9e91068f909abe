"""From plain data to typed objects: how JSON and YAML files are read that a person or another program may have written.

A reader states its shape as a dataclass (or a NamedTuple, or any annotation) and gets an object that has it, or an
error that names the file, the field and what was expected there. Nothing is converted in silence: `"5"` is no number,
and an unknown key is an error where the dataclass says ``__pydantic_config__ = STRICT``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Le, MinLen

from ood_lightning.errors import UserError, first_line, percent_hint

T = TypeVar("T")

STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False}  # for `__pydantic_config__` of a dataclass

MAX_LENGTH = 2**28  # characters of a document; the manifest of a million shards has two thirds of it

# kinds of fields; annotated_types comes with pydantic and takes no time to import
NOT_EMPTY = MinLen(1)
Count = Annotated[int, Ge(0), Le(2**63 - 1)]  # what tensors and tables hold
Share = Annotated[float, Ge(0), Le(1)]
Percent = Annotated[float, Ge(0), Le(100)]
Text = Annotated[str, NOT_EMPTY]


def decode_json(text: str | bytes, kind: type[T], where: str, error: Callable[[str], UserError]) -> T:
    """A JSON document as an object of a type.

    Args:
        text: the document; bytes are read as UTF-8, a byte order mark before it is passed over.
        kind: what it has to be.
        where: the file, for errors.
        error: makes the error from its text, usually the error's class.

    Raises:
        UserError: what `error` makes; the document is no JSON, a key comes twice, or a field is missing, unknown or of
            another type than expected. Names the field by its path, such as `shards.3.bytes`.
    """
    try:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"its {len(text):,} characters are more than the {MAX_LENGTH:,} that are read")
        text = (text.decode() if isinstance(text, bytes) else text).removeprefix("\ufeff")
        json.loads(text, object_pairs_hook=_without_repeated_keys)  # pydantic would keep the last of repeated keys
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not readable as JSON: {cause}") from None

    return _validated(text, kind, where, error)


def decode_plain(content: object, kind: type[T], where: str, error: Callable[[str], UserError]) -> T:
    """The same for what a YAML or CSV reader gave: dicts, lists, texts and numbers.

    Raises:
        UserError: as :func:`decode_json`; also where the content cannot be written as JSON.
    """
    try:
        text = json.dumps(content, default=str)
    except (TypeError, ValueError, RecursionError) as cause:  # a date as a key, an alias that contains itself
        raise error(f"{where} holds what is no plain data: {cause}") from None

    return _validated(text, kind, where, error)


def decode_yaml(text: str, kind: type[T], where: str, error: Callable[[str], UserError]) -> T:
    """A YAML document as an object of a type.

    Raises:
        UserError: as :func:`decode_json`; of what is no YAML the line is named.
    """
    import yaml

    try:
        node = yaml.compose(text, yaml.SafeLoader)
        _refuse_repeated_keys(node)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as cause:  # ValueError: of an impossible date
        mark = getattr(cause, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(cause, "problem", "") or first_line(cause)
        raise error(f"{where}{line} is no YAML: {what}") from None

    return decode_plain(content, kind, where, error)


def _validated(text: str, kind: type[T], where: str, error: Callable[[str], UserError]) -> T:
    from pydantic import ValidationError  # takes a tenth of a second, so not before a file is read

    try:
        value: T = _adapter(kind).validate_json(text, strict=True)  # type: ignore[arg-type]  # a class has a hash
        return value
    except ValidationError as cause:
        first, *others = cause.errors(include_url=False)
        more = f" (and {len(others)} more)" if others else ""
        raise error(f"{where}: {_described(first)}{more}") from None


@cache
def _adapter(kind: type) -> Any:
    """Pydantic's reader of a type; making one takes milliseconds."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _described(problem: Any) -> str:
    """One of pydantic's errors in one line: where, what was found, what was expected."""
    path = ".".join(str(part) for part in problem["loc"]) or "the whole document"

    if problem["type"] == "missing":
        return f"{path} is missing"
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{path} is a key that nothing here knows"

    hint = percent_hint(problem["input"]) if problem.get("ctx", {}).get("le") == 1 else ""
    return f"{path} is {shortened(problem['input'])}: {problem['msg'][:1].lower()}{problem['msg'][1:]}{hint}"


def shortened(value: object) -> str:
    """The beginning of a value, for an error."""
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_repeated_keys(root: Any) -> None:
    """The same for the nodes of a YAML document, those that have several aliases looked at once."""
    from yaml import MappingNode, ScalarNode, SequenceNode
    from yaml.constructor import ConstructorError

    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, MappingNode | SequenceNode):
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += node.value
            continue

        names = set[str]()
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                if key.value in names:
                    raise ConstructorError(None, None, f"the key {key.value!r} comes twice", key.start_mark)
                names.add(key.value)
            waiting.append(value)


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict, unless a key comes twice: `json` alone would keep the last one silently."""
    content = dict(pairs)

    if len(content) < len(pairs):
        repeated = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {repeated!r} comes twice")

    return content
