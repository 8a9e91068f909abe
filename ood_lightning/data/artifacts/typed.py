"""Plain data to typed objects: the one way in for JSON and YAML that a person or another program may have written.

A reader states its shape as a dataclass (or a NamedTuple, or any annotation) and gets an object that has it, or an
error that names the file, the field and what was expected there. Nothing is converted in silence: `"5"` is no number,
and a key that nobody knows is an error where the dataclass says ``__pydantic_config__ = STRICT``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar, cast

from ood_lightning.errors import UserError

T = TypeVar("T")

STRICT = {"strict": True, "extra": "forbid"}  # for `__pydantic_config__` of a dataclass


def decode_json(text: str, kind: type[T], where: str, error: type[UserError]) -> T:
    """A JSON document as an object of a type.

    Args:
        text: the document.
        kind: what it has to be.
        where: the file, for errors.
        error: class of the errors, made from one text.

    Raises:
        UserError: of the class `error`; it is no JSON, a key comes twice, or a field is missing, unknown or of another
            kind than expected. Names the field by its path, such as `shards.3.bytes`.
    """
    try:
        json.loads(text, object_pairs_hook=_without_repeated_keys)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not readable as JSON: {cause}") from None

    return _validated(text, kind, where, error)


def decode_plain(content: object, kind: type[T], where: str, error: type[UserError]) -> T:
    """The same for what a YAML or CSV reader gave: dicts, lists, texts and numbers.

    Raises:
        UserError: of the class `error`, as :func:`decode_json`.
    """
    return _validated(json.dumps(content, default=str), kind, where, error)


@cache
def _adapter(kind: Any) -> Any:
    """Made once for each type: that takes a millisecond, and a file of JSON lines may hold 100,000 of them."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _validated(text: str, kind: type[T], where: str, error: type[UserError]) -> T:
    from pydantic import ValidationError

    try:
        typed: T = _adapter(cast(Any, kind)).validate_json(text, strict=True)
    except ValidationError as cause:
        first, *others = cause.errors(include_url=False)
        more = f" (and {len(others)} more like it)" if others else ""
        raise error(f"{where}: {_described(first)}{more}") from None

    return typed


def _described(problem: Any) -> str:
    """One of pydantic's errors in one line: where, what was found, what was expected."""
    path = ".".join(str(part) for part in problem["loc"]) or "the whole document"

    if problem["type"] == "missing":
        return f"{path} is missing"
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{path} is a key that nothing here knows"

    found = repr(problem["input"])
    shortened = found if len(found) <= 60 else f"{found[:57]}..."
    return f"{path} is {shortened}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key written twice the plain reader would keep the last without a word."""
    content = dict(pairs)

    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} comes twice")

    return content
