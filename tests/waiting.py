"""Waiting in tests: for an event, never for a time. The one limit only ends what would hang for ever."""

import subprocess
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

HANG_S = 600.0  # pytest's own limit of 900 s then names the test


def wait_until(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Look again and again until a condition holds.

    Args:
        condition: true when the event has happened.
        what: the event, for the message.
        process: that brings it about; its end without the event is a failure.
    """
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert process is None or process.poll() is None or condition(), f"ended before {what}"
        assert time.monotonic() < deadline, f"hangs before {what}"
        time.sleep(0.01)


def exit_code(process: BaseProcess) -> int | None:
    """How a process ended; one that hangs is killed."""
    process.join(HANG_S)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError("the process hangs")
    return process.exitcode
