"""Tasks over processes: counted as they go, stopped with their parent, never left behind."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_uint64
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray
from typing import Any, TypeVar

from tqdm import tqdm

from ood_lightning.errors import SourceError

T = TypeVar("T")
R = TypeVar("R")
Tick = Callable[[int], None]
_shared: Any = None


def parallel_map(
    function: Callable[[T, Tick], R], tasks: Sequence[T], workers: int, progress_bar: "tqdm[Any]"
) -> list[R]:
    """`function(task, tick)` of every task, in order; `tick(n)` says that n pictures more are done.

    Args:
        function: of a module, so that another process finds it.
        tasks: plain data.
        workers: processes; 1: this one.
        progress_bar: bar of the pictures.

    Raises:
        SourceError: a process was killed.
    """
    if min(workers, len(tasks)) <= 1:
        return [function(task, lambda n: _update(progress_bar, n)) for task in tasks]
    # the last number says stop; nothing here is locked, since a killed process would keep its lock
    counts = RawArray(c_uint64, len(tasks) + 1)
    context = get_context("fork")  # a spawned worker would import everything anew
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (os.getpid(), counts)) as pool:
        futures = [pool.submit(_counted, function, i, task) for i, task in enumerate(tasks)]
        waiting, told = set(futures), 0
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                done = sum(counts[: len(tasks)])
                _update(progress_bar, done - told)
                told = done
                for future in finished:
                    future.result()
        except BrokenProcessPool:
            raise SourceError("a worker process was killed, perhaps for want of memory: use fewer workers") from None
        finally:
            counts[len(tasks)] = 1
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _update(progress_bar: "tqdm[Any]", n: int) -> None:
    progress_bar.update(n)


def _begin(parent: int, counts: Any) -> None:
    """In a new process: it ends when its parent does, however that ends."""
    global _shared
    _shared = counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and says stop

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _StopError(Exception):
    """The parent gave up."""


def _counted(function: Callable[[T, Tick], R], number: int, task: T) -> R:
    def on_progress(n: int) -> None:
        _shared[number] += n
        if _shared[len(_shared) - 1]:
            raise _StopError

    return function(task, on_progress)
