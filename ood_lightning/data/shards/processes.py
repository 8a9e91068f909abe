"""Tasks over processes: counted as they go, stopped with their parent, never left behind."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_uint64
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray
from typing import Any, TypeVar

from tqdm import tqdm

from ood_lightning.errors import SourceError

T = TypeVar("T")
R = TypeVar("R")
OnProgress = Callable[[int], object]
_counts: Any = None  # in a worker process: of each task, how many images are done; the last entry says stop


def parallel_map(
    function: Callable[[T, OnProgress], R], tasks: Sequence[T], workers: int, progress_bar: "tqdm[Any]"
) -> list[R]:
    """`function(task, on_progress)` of every task, in order; `on_progress(n)` says that n images more are done.

    Args:
        function: of a module, so that another process finds it.
        tasks: plain data.
        workers: processes; 1: this one.
        progress_bar: of the images.

    Raises:
        SourceError: a process was killed.
    """
    n_workers = min(workers, len(tasks))
    if n_workers <= 1:
        return [function(task, progress_bar.update) for task in tasks]

    # not locked: a process that is killed would keep its lock
    counts = RawArray(c_uint64, len(tasks) + 1)
    context = get_context("fork")  # a spawned worker would import everything anew
    with ProcessPoolExecutor(n_workers, context, _begin, (os.getpid(), counts)) as pool:
        futures = [pool.submit(_call, function, i, task) for i, task in enumerate(tasks)]
        try:
            waiting = set(futures)
            n_reported = 0
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                n_done = sum(counts[: len(tasks)])
                progress_bar.update(n_done - n_reported)
                n_reported = n_done
                for future in finished:
                    future.result()
        except BrokenProcessPool:
            raise SourceError("a worker process was killed, perhaps for want of memory: use fewer workers") from None
        finally:
            counts[len(tasks)] = 1
            pool.shutdown(cancel_futures=True)

    return [future.result() for future in futures]


def _begin(parent: int, counts: Any) -> None:
    """In a new process: let it end when its parent does, in whatever way."""
    global _counts
    _counts = counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C, and says stop

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call(function: Callable[[T, OnProgress], R], number: int, task: T) -> R:
    """In a worker process: the function of one task, whose images are counted."""

    def on_progress(n: int) -> None:
        _counts[number] += n
        if _counts[len(_counts) - 1]:
            raise CancelledError  # the parent gave up

    return function(task, on_progress)
