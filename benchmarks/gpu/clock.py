"""Seconds and peak memory of work on a device, and whether two devices agree."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

MIB = 2**20


class Timed(NamedTuple):
    """What one call took.

    Args:
        s: seconds on the clock, the median of several calls after two to warm up.
        peak_mib: by how much the device's allocated memory rose during a call; None on a processor.
    """

    s: float
    peak_mib: float | None


def timed(work: Callable[[], object], device: torch.device, seconds: float = 1.0, max_calls: int = 20) -> Timed:
    """Call some work until it has taken so many seconds, at least three times and at most `max_calls` times."""
    for _ in range(2):
        work()
    _finish(device)
    before = _allocated_mib(device)

    turns: list[float] = []
    while len(turns) < 3 or (sum(turns) < seconds and len(turns) < max_calls):
        start = perf_counter()
        work()
        _finish(device)
        turns.append(perf_counter() - start)

    peak = None if before is None else torch.cuda.max_memory_allocated(device) / MIB - before
    return Timed(median(turns), peak)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _allocated_mib(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device) / MIB


class Agreement(NamedTuple):
    """How far numbers of two devices are apart.

    Args:
        agrees: whether all are within the tolerance.
        largest_difference: of two numbers.
        tolerance: that was allowed at that place.
    """

    agrees: bool
    largest_difference: float
    tolerance: float


def agreement(here: Tensor, there: Tensor, absolute: float, relative: float = 0.0) -> Agreement:
    """Compare numbers of the processor with those of another device.

    Args:
        here: of the processor.
        there: the same shape.
        absolute: difference that is allowed.
        relative: share of the processor's number that is allowed besides.
    """
    if here.shape != there.shape:
        raise ValueError(f"shapes {tuple(here.shape)} and {tuple(there.shape)} cannot be compared")

    here, there = here.double(), there.cpu().double()
    difference, allowed = (here - there).abs().flatten(), (absolute + relative * here.abs()).flatten()
    worst = int((difference - allowed).argmax())
    within = bool((difference <= allowed).all())  # false for NaN
    return Agreement(within, float(difference[worst]), float(allowed[worst]))


def same_rows(here: Tensor, there: Tensor) -> Agreement:
    """Compare whole numbers, which have to be equal: the largest difference is the share that is not."""
    share = float((here != there.cpu()).double().mean())
    return Agreement(share == 0, share, 0.0)
