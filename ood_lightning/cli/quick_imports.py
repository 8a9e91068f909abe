"""Ways to import torch and Lightning in fewer seconds."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# what torchmetrics, which Lightning imports whole, imports where it is installed
OPTIONAL = ("scipy", "transformers", "torchvision", "matplotlib")


@contextmanager
def in_one_go() -> Iterator[None]:
    """Import without the garbage collector: it looks through all that modules make, again and again, for nothing.

    With it, Lightning takes a fifth longer.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def without_optional() -> Iterator[None]:
    """Let Lightning find none of the packages that torchmetrics can do without: a quarter of its time.

    For a process that shows help and ends: torchmetrics keeps what it found, and has no metrics of texts then.
    """
    import importlib.metadata  # both take their time, too
    import importlib.util

    version, find_spec = importlib.metadata.version, importlib.util.find_spec
    importlib.metadata.version = _denying(version, importlib.metadata.PackageNotFoundError)
    importlib.util.find_spec = _denying(find_spec, ModuleNotFoundError)
    try:
        yield
    finally:
        importlib.metadata.version, importlib.util.find_spec = version, find_spec


def _denying(find: Callable[..., Any], error: type[ImportError]) -> Callable[..., Any]:
    """The same function, which fails for optional packages."""

    def deny(name: str, *args: Any) -> Any:
        if name.partition(".")[0] in OPTIONAL:
            raise error(name)
        return find(name, *args)

    return deny
