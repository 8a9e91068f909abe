"""retry: how often, how long it waits, and when it gives up."""

import socket
from threading import Event

import pytest

from ood_lightning import retries
from ood_lightning.retries import GivenUpError, TransientError, UnreachableError, check_reachable, retry


class Failing:
    """Fails so many times, then returns "done"."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise TransientError(f"{self.left} failures are left")
        return "done"


def test_an_attempt_is_repeated_until_it_succeeds():
    waits: list[float] = []
    assert retry(Failing(3), 4, 1.0, 100.0, wait=waits.append) == "done"
    assert len(waits) == 3


def test_as_many_tries_as_allowed_and_the_last_cause_is_told():
    attempt = Failing(10)
    with pytest.raises(GivenUpError, match=r"^7 failures are left$") as caught:
        retry(attempt, 3, 0.0, 0.0)
    assert caught.value.tries == 3
    assert attempt.left == 7


def test_other_errors_are_not_tried_again():
    calls = []

    def attempt() -> None:
        calls.append(1)
        raise KeyError("lost")

    with pytest.raises(KeyError):
        retry(attempt, 5, 0.0, 0.0)
    assert len(calls) == 1


def test_waits_double_within_a_random_factor_and_end_at_the_longest():
    waits: list[float] = []
    with pytest.raises(GivenUpError):
        retry(Failing(99), 9, 1.0, 20.0, wait=waits.append)

    doubled = [2.0**i for i in range(8)]
    assert all(0.5 * usual <= wait <= 1.5 * usual for wait, usual in zip(waits[:4], doubled, strict=False))
    assert waits[:4] != doubled[:4]
    assert waits[6:] == [20.0, 20.0]


def test_failures_are_counted_anew_after_progress():
    progress = iter([False, False, True, False, False, False])
    waits: list[float] = []
    attempt = Failing(99)
    with pytest.raises(GivenUpError) as caught:
        retry(attempt, 4, 1.0, 100.0, progressed=lambda: next(progress), wait=waits.append)

    assert caught.value.tries == 4
    assert attempt.left == 99 - 6
    assert waits[2] <= 1.5  # the first wait after the progress is the shortest again


def test_thousands_of_tries():
    with pytest.raises(GivenUpError):
        retry(Failing(3000), 2000, 1.0, 20.0, wait=lambda _: None)


def test_a_stop_ends_the_tries():
    stop = Event()
    stop.set()
    attempt = Failing(99)
    with pytest.raises(GivenUpError) as caught:
        retry(attempt, 10, 60.0, 60.0, wait=stop.wait)
    assert (caught.value.tries, attempt.left) == (1, 98)


def test_a_server_that_nobody_reaches_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    check_reachable.cache_clear()

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_reachable(f"http://127.0.0.1:{port}")
        with pytest.raises(UnreachableError, match=r"^nowhere\.invalid cannot be reached: "):
            check_reachable("https://nowhere.invalid/x")

        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")  # then the proxy is what has to answer
        check_reachable("https://nowhere.invalid/y")

    monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")  # closed by now
    with pytest.raises(UnreachableError, match=r"^127\.0\.0\.1 cannot be reached: Connection refused"):
        check_reachable("https://nowhere.invalid/z")


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    stop = Event()
    monkeypatch.setattr(retries, "REACHED_WITHIN_S", 0.05)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: stop.wait() and socket.socket())
    with pytest.raises(UnreachableError, match=r"slow\.invalid cannot be reached: no connection within 0\.05 s"):
        check_reachable("https://slow.invalid")
    stop.set()
