"""The next shard is fetched while one is read.

For shards on another machine, which otherwise would be waited for one after the other: from a server of 20 MB/s,
reading took 1.3 (two workers) to 1.7 (one) times as long without it, by `python -m benchmarks.reader`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from mmap import mmap
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
ALIVE_CHECKED_EVERY_S = 0.2


class ReaderAlive:
    """Whether somebody still reads: made by the reading process, called by the workers that it forks, or by itself."""

    def __init__(self) -> None:
        self._reader = os.getpid()
        self._ended = mmap(-1, 1)  # one byte that forked processes share, whatever becomes of any of them

    def end(self) -> None:
        """From now on nobody reads."""
        self._ended[0] = 1

    def __call__(self) -> bool:  # noqa: D102
        reader_exists = self._reader in (os.getpid(), os.getppid())  # a killed one's workers get another parent
        return reader_exists and not self._ended[0]


def prefetch(fetch: Callable[[T], R], items: Sequence[T], alive: Callable[[], bool]) -> Iterator[tuple[T, R]]:
    """Each item with `fetch(item)`, in order; the next fetch is started before an item is handed over.

    What `fetch` raises is raised when the item's turn comes. A fetch that nobody waits for any more ends with the
    process.

    Args:
        fetch: what takes time.
        items: what to fetch.
        alive: whether somebody still reads; called before each item, and while one is waited for.

    Raises:
        KeyboardInterrupt: nobody reads any more. torch ends a worker by that without a message; a worker that returned
            instead would hang for ever if its parent had been killed while it started.
    """
    fetches = (_start(fetch, item) for item in items)  # each starts when it is taken from here
    started = list(islice(fetches, 1))

    for item in items:
        future = started.pop()
        while True:
            if not alive():
                raise KeyboardInterrupt
            if wait([future], ALIVE_CHECKED_EVERY_S).done:
                break

        result = future.result()
        started += islice(fetches, 1)
        yield item, result


def _start(fetch: Callable[[T], R], item: T) -> "Future[R]":
    """`fetch(item)` in a thread of its own."""
    future: Future[R] = Future()

    def run() -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:
            future.set_exception(error)

    # a daemon: the threads of an executor are waited for when the process ends, even after Ctrl-C
    Thread(target=run, daemon=True).start()
    return future
