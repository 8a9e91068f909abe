"""Another try after a failure that may pass: of a download, of the hub, of a server that judges."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ood_lightning.errors import UserError

T = TypeVar("T")


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
