"""The next file is on its way while one is read, and no more than the next."""

import threading

import pytest

from ood_lightning.data.ahead import ahead


def test_the_next_is_fetched_while_one_is_read():
    begun = [threading.Event() for _ in range(4)]

    def fetch(i: int) -> str:
        begun[i].set()
        return f"{i} here"

    for i, found in ahead(fetch, range(4)):
        assert found == f"{i} here"
        assert i == 3 or begun[i + 1].wait(10)
        assert not any(later.wait(0.02) for later in begun[i + 2 :])


def test_what_fails_fails_in_its_turn():
    def fetch(i: int) -> int:
        return 6 // (2 - i)

    read = ahead(fetch, range(4))
    assert [next(read), next(read)] == [(0, 3), (1, 6)]
    with pytest.raises(ZeroDivisionError):
        next(read)


def test_nothing_to_fetch():
    assert list(ahead(str, [])) == []


def test_a_fetch_that_hangs_keeps_nobody_who_stopped_reading():
    never = threading.Event()
    read = ahead(lambda i: i and never.wait(60), [0, 1])
    assert next(read) == (0, 0)
    read.close()
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    never.set()
