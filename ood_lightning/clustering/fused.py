"""Kernels of an accelerator that join several passes over memory, where they can be made."""

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info

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
        except (torch._dynamo.exc.TorchDynamoException, ImportError) as cause:
            failed = True
            rank_zero_info(f"torch.compile failed, plain kernels are used: {first_line(cause)}")
            return function(*args, **kwargs)

    return call
