"""Another try after a failure that may pass: of a download, of the hub, of a server that judges.

And whether a server can be reached at all, which is asked once, before the first try.
"""

import random
import socket
import time
from collections.abc import Callable
from functools import cache
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ood_lightning.errors import UserError, first_line

T = TypeVar("T")
REACHED_WITHIN_S = 5.0  # and imports take some: whoever waits for a refusal waits for less than ten


class TransientError(UserError):
    """A failure that another try may mend; its text is the cause."""


class GivenUpError(UserError):
    """The last of several tries failed; its text is the cause.

    Attributes:
        tries: that failed in a row.
    """

    def __init__(self, tries: int, cause: TransientError) -> None:
        super().__init__(str(cause))
        self.tries = tries


def retry(
    attempt: Callable[[], T],
    max_tries: int,
    first_wait_s: float,
    max_wait_s: float,
    *,
    progressed: Callable[[], bool] = lambda: False,
    wait: Callable[[float], object] = time.sleep,
) -> T:
    """What `attempt` returns; it is called again after a :class:`TransientError`.

    Each wait is twice as long as the one before, times a random factor: many workers that a server turned away together
    should not come back together.

    Args:
        attempt: what may fail.
        max_tries: failures in a row before this gives up.
        first_wait_s: seconds between the first try and the second, times 0.5 to 1.5.
        max_wait_s: longest wait, in seconds.
        progressed: called after a failure; if it says that the try got somewhere, failures are counted anew.
        wait: waits for so many seconds; this gives up if it returns something true, such as `Event.wait`.

    Raises:
        GivenUpError: too many tries failed in a row, or `wait` ended them.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except TransientError as error:
            failures = 1 if progressed() else failures + 1
            doublings = min(failures - 1, 60)  # more would overflow, and no wait is that long
            wait_s = min(first_wait_s * 2**doublings * random.uniform(0.5, 1.5), max_wait_s)
            if failures >= max_tries or wait(wait_s):
                raise GivenUpError(failures, error) from None


class UnreachableError(UserError):
    """A server that nothing connects to; its text is the cause."""


@cache  # a server that has answered once is tried again as `retry` says; a failure is not kept
def check_reachable(url: str) -> None:
    """Connect to a server, or to the proxy in front of it, and say at once where that fails.

    Args:
        url: of the server; nothing is sent.

    Raises:
        UnreachableError: its name is unknown, nobody listens, or nothing has come of it in `REACHED_WITHIN_S` seconds.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(host):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host = parts.hostname or ""

    def connect() -> None:
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        socket.create_connection((host, port), timeout=REACHED_WITHIN_S).close()

    within_limit(connect, host, "no connection")


def within_limit(attempt: Callable[[], object], host: str, what: str) -> None:
    """Make an attempt, and wait for it for `REACHED_WITHIN_S` seconds.

    In a thread of its own: looking up a name has no time limit.

    Args:
        attempt: to reach a server.
        host: its name.
        what: is said to be there where the time is over.

    Raises:
        UnreachableError: it failed, with whatever error, or is not done.
    """
    failures: list[str] = []

    def try_it() -> None:
        try:
            attempt()
        except Exception as error:  # of other libraries' clients, too
            failures.append(getattr(error, "strerror", None) or first_line(error))

    thread = Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(REACHED_WITHIN_S)
    if thread.is_alive():
        failures.append(f"{what} within {REACHED_WITHIN_S:g} s")
    if failures:
        raise UnreachableError(f"{host} cannot be reached: {failures[0]}")
