"""A row of the table of benchmarks: ways of computing the same from the same inputs, and how it is measured.

A module of benchmarks/compared has a function ``rows(small)`` that returns its rows. Small rows have sizes that take a
second or so: they test the benchmark, and measure nothing.
"""

import ctypes
import gc
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

SHORTEST_TURN_S = 0.5  # what takes less is called several times in a turn

Ways = Mapping[str, Callable[[], object]]


class Row(NamedTuple):
    """One comparison.

    Args:
        name: unique, such as ``temi-wide``; ``python -m benchmarks NAME`` runs it alone.
        title: for people, such as ``TEMI step``.
        sizes: of the inputs: ``D 1,024, C 4,000, H 50, B 256``.
        base: what the first way does, which the others are divided by: the bare products of which shapes, or the plain
            way of doing the same.
        aim: in words: ``ours at most 1.7 times bare``.
        ways: makes the inputs and returns the ways by name, the base first and ``ours`` among them. Runs in a process
            of its own, before anything is measured.
        threads: that torch may use.
        repeats: turns of each way, in which the ways alternate; medians count.
    """

    name: str
    title: str
    sizes: str
    base: str
    aim: str
    ways: Callable[[], Ways]
    threads: int = 1
    repeats: int = 5


class Measured(NamedTuple):
    """What one way took, medians over the turns.

    Args:
        cpu_s: seconds of the processor, of user and system.
        wall_s: seconds on the clock.
        peak_mib: by how much resident memory rose above its level before the call.
        ratio: of processor seconds to those of the base in the same turn.
        wall_ratio: of seconds on the clock.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float
    ratio: float
    wall_ratio: float


def measure(row: Row) -> dict[str, Measured]:
    """Every way once to warm up and for its memory, then all in alternating turns."""
    import torch

    torch.set_num_threads(row.threads)
    ways = row.ways()
    for work in ways.values():
        work()
    peaks = {name: peak_mib(work) for name, work in ways.items()}
    calls = {name: max(1, round(SHORTEST_TURN_S / seconds(work, 1)[1])) for name, work in ways.items()}

    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(row.repeats):
        for name, work in ways.items():
            turns[name].append(seconds(work, calls[name]))

    base = turns[next(iter(turns))]
    return {name: _medians(turn, base, peaks[name]) for name, turn in turns.items()}


def _medians(turns: list[tuple[float, float]], base: list[tuple[float, float]], peak_mib: float) -> Measured:
    cpu, wall = (median(values) for values in zip(*turns, strict=True))
    ratio = median(own[0] / other[0] for own, other in zip(turns, base, strict=True))
    wall_ratio = median(own[1] / other[1] for own, other in zip(turns, base, strict=True))
    return Measured(cpu, wall, peak_mib, ratio, wall_ratio)


def seconds(work: Callable[[], object], calls: int) -> tuple[float, float]:
    """Processor and wall seconds of one call, the mean of several calls in a row."""
    gc.collect()
    before, start = _processor_s(), perf_counter()
    for _ in range(calls):
        work()
    return (_processor_s() - before) / calls, (perf_counter() - start) / calls


def peak_mib(work: Callable[[], object]) -> float:
    """By how much resident memory rises at its highest. Linux only.

    What earlier work freed goes back to the kernel first, and the kernel's high-water mark is set back, so that neither
    hides anything.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_kib("VmRSS")
    work()
    return (_status_kib("VmHWM") - before) / 1024


def _processor_s() -> float:
    """Of this process, and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
