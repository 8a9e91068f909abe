"""The next file is fetched while one is read."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from mmap import mmap
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
ASKED_EVERY_S = 0.2


class ReaderAlive:
    """Whether somebody still reads: made before a process is forked, asked in the forked one or in the same."""

    def __init__(self) -> None:
        self._reader, self._over = os.getpid(), mmap(-1, 1)  # forked processes share it, whatever becomes of one

    def end(self) -> None:
        """From now on nobody does."""
        self._over[0] = 1

    def __call__(self) -> bool:  # noqa: D102
        return not self._over[0] and self._reader in (os.getpid(), os.getppid())


def ahead(fetch: Callable[[T], R], items: Sequence[T], wanted: Callable[[], bool]) -> Iterator[tuple[T, R]]:
    """Each item with `fetch(item)`, in order; the one after it is begun before it is handed over.

    What `fetch` raises is raised when the item's turn comes. A fetch that nobody waits for any more is dropped with the
    process.

    Args:
        fetch: what takes time.
        items: what to fetch.
        wanted: asked before each item and while one is waited for.

    Raises:
        KeyboardInterrupt: it is not wanted any more. torch ends a worker by that without a word; one that just stopped
            it would keep for ever if its parent was killed while it began.
    """
    coming = [_begun(fetch, item) for item in items[:1]]
    for i, item in enumerate(items):
        future = coming.pop()
        while True:
            if not wanted():
                raise KeyboardInterrupt
            if wait([future], ASKED_EVERY_S).done:
                break
        found = future.result()
        coming += [_begun(fetch, following) for following in items[i + 1 : i + 2]]
        yield item, found


def _begun(fetch: Callable[[T], R], item: T) -> "Future[R]":
    future: Future[R] = Future()

    def run() -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:
            future.set_exception(error)

    # an executor's threads would be waited for when the process ends, and with Ctrl-C a shard's rest is not wanted
    Thread(target=run, daemon=True).start()
    return future
