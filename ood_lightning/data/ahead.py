"""The next file is fetched while one is read."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(fetch: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
    """Each item with `fetch(item)`, in order; the one after it is begun before it is handed over.

    What `fetch` raises is raised when the item's turn comes. A fetch that nobody waits for any more is dropped with the
    process.
    """
    coming = [_begun(fetch, item) for item in items[:1]]
    for i, item in enumerate(items):
        found = coming.pop().result()
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
