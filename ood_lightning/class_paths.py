"""Objects as configs name them: a class by its path, and its settings."""

from dataclasses import fields, is_dataclass
from typing import Any


def as_config(value: Any) -> Any:
    """A dataclass as its class path and arguments, those within it too; other values stay as they are.

    Args:
        value: such as a corpus.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        arguments = {field.name: as_config(getattr(value, field.name)) for field in fields(value)}
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": arguments}
    return [as_config(one) for one in value] if isinstance(value, list | tuple) else value
