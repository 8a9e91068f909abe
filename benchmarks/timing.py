"""What a computation takes: the best of several runs, and the most memory that it held."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from time import perf_counter


def best_s(work: Callable[[], object], repeats: int = 3) -> float:
    """Shortest wall time of `work`, in seconds."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def peak_mib(work: Callable[[], object]) -> float:
    """By how much the process's resident memory rose at its highest while `work` ran, in MiB. Linux only.

    What earlier work freed goes back to the kernel first, and the kernel's high-water mark is set back, so that neither
    hides anything.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
