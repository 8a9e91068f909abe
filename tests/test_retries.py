"""retry: how often, how long it waits, and when it gives up."""

from threading import Event

import pytest

from ood_lightning.retries import GivenUpError, TransientError, retry


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
