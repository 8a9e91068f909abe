"""Kernels of an accelerator that join several passes over memory, where they can be made."""

import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import torch

from ood_lightning.errors import first_line

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@cache
def fused(function: Callable[Arguments, Result], device_type: str) -> Callable[Arguments, Result]:
    """`function` compiled for CUDA; itself for other devices, and where compiling fails, which is said once.

    On a processor nothing is compiled: it needs a C++ compiler, and the logits of one head stay in the cache anyway.

    Args:
        function: of tensors; it may overwrite them, since nothing has run when compiling fails.
        device_type: of its tensors: ``cpu``, ``cuda``.
    """
    if device_type != "cuda":
        return function

    compiled, failed = torch.compile(function), False

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        nonlocal failed
        if failed:
            return function(*args, **kwargs)
        try:
            return compiled(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ImportError) as cause:  # what torch.compile raises is a RuntimeError
            failed = True
            warnings.warn(f"torch.compile failed, plain kernels are used: {first_line(cause)}", stacklevel=2)
            return function(*args, **kwargs)

    return call
