"""Detectors and encoders as plain data: a class by its path, and its settings.

A path that was read from a file never decides what is imported: it has to name a class of the package's own room, such
as `ood_lightning.detectors.mcm.MCM`, whose file is one of those that lie there.
"""

from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, TypeVar, cast

from ood_lightning.data.artifacts.typed import STRICT, decode_plain
from ood_lightning.errors import DetectorError

T = TypeVar("T")


@dataclass(frozen=True)
class ClassSettings:
    """A class and the settings of an instance.

    Args:
        class_path: `ood_lightning.ROOM.FILE.CLASS`.
        init_args: by name, plain data.
    """

    __pydantic_config__: ClassVar = STRICT

    class_path: str
    init_args: dict[str, Any]


def as_plain(instance: Any, base: type) -> ClassSettings:
    """An instance as plain data.

    Args:
        instance: a dataclass of the package.
        base: what it is one of, such as `Detector`.

    Raises:
        DetectorError: its class is none of the package's own.
    """
    kind = type(instance)
    path = f"{kind.__module__}.{kind.__qualname__}"
    _class_of(path, base, "the detector folder")
    settings = {field.name: getattr(instance, field.name) for field in fields(kind)}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    return ClassSettings(path, plain)


def build(settings: ClassSettings, base: type[T], where: str) -> T:
    """An instance from plain data.

    Args:
        settings: as :func:`as_plain` gave them.
        base: what it is one of.
        where: the file that they were read from.

    Raises:
        DetectorError: the class is none of the package's own, or a setting is unknown, missing or out of its range.
    """
    kind = _class_of(settings.class_path, base, where)
    known = {field.name for field in fields(kind)}
    if unknown := settings.init_args.keys() - known:
        raise DetectorError(f"{where}: {kind.__name__} has no setting {min(unknown)!r}: was a newer version used?")
    instance: T = decode_plain(settings.init_args, kind, f"{where}, {kind.__name__}", DetectorError)
    return instance


def _class_of(path: str, base: type, where: str) -> type[Any]:
    """The class behind a path, if it is a dataclass of the room that `base` lies in."""
    room = base.__module__.rpartition(".")[0]
    module, _, name = path.removeprefix(f"{room}.").partition(".")
    files = {file.name for file in iter_modules(import_module(room).__path__)}

    kind = getattr(import_module(f"{room}.{module}"), name, None) if module in files else None
    is_ours = isinstance(kind, type) and issubclass(kind, base) and f"{kind.__module__}.{kind.__qualname__}" == path
    if kind is None or not is_ours or not is_dataclass(kind) or "__dataclass_fields__" not in vars(kind):
        raise DetectorError(
            f"{where}: {path!r} is no {base.__name__.lower()} of {room}: a folder can carry those alone, so that no "
            f"code is imported because a file says so"
        )
    return cast("type[Any]", kind)
