"""Hashes of files, and of whole runs."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_hash(settings: Mapping[str, object]) -> str:
    """Hash of a run's settings and inputs: equal runs have one, whatever folders, devices and workers they use.

    An object counts by its class and fields, or by its `fingerprint` where it has one; a path by the bytes of its file,
    wherever that lies. A folder counts nothing: what was read there has a hash of its own.

    Args:
        settings: plain data, dataclasses, encoders, manifests, mappings and sequences of them.

    Returns:
        16 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(_plain(settings)).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Plain data that is equal for equal settings; the order of mappings counts, since it orders rows and columns."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, Mapping):
        return [[str(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]

    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "fingerprint"):
        return [kind, value.fingerprint]
    names = [field.name for field in fields(value)] if is_dataclass(value) else sorted(vars(value))
    return [kind, *([name, _plain(getattr(value, name))] for name in names if not name.startswith("_"))]


def _text(text: str) -> Any:
    """A text as it is, the hash of the file that it names, or nothing for a folder."""
    names_place = os.sep in text or Path(text).suffix
    if names_place and os.path.isfile(text):
        return ["file", sha256_of(Path(text))]
    return ["folder"] if names_place and os.path.isdir(text) else text
