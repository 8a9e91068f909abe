"""The best of several runs: what a computation takes where nothing else is in its way."""

from collections.abc import Callable
from time import perf_counter


def best_s(work: Callable[[], object], repeats: int = 3) -> float:
    """Shortest wall time of `work`, in seconds."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)
