"""The next file is on its way while one is read, and no more than the next."""

import os
import threading
import time
from multiprocessing import get_context

import pytest

from ood_lightning.data.shards.prefetch import ReaderAlive, ahead


def test_the_next_is_fetched_while_one_is_read():
    begun = [threading.Event() for _ in range(4)]

    def fetch(i: int) -> str:
        begun[i].set()
        return f"{i} here"

    for i, found in ahead(fetch, range(4), ReaderAlive()):
        assert found == f"{i} here"
        assert i == 3 or begun[i + 1].wait(10)
        assert not any(later.wait(0.02) for later in begun[i + 2 :])


def test_what_fails_fails_in_its_turn():
    def fetch(i: int) -> int:
        return 6 // (2 - i)

    read = ahead(fetch, range(4), ReaderAlive())
    assert [next(read), next(read)] == [(0, 3), (1, 6)]
    with pytest.raises(ZeroDivisionError):
        next(read)


def test_nothing_to_fetch():
    assert list(ahead(str, [], ReaderAlive())) == []


def test_a_fetch_that_hangs_keeps_nobody_who_stopped_reading():
    never = threading.Event()
    read = ahead(lambda i: i and never.wait(60), [0, 1], ReaderAlive())
    assert next(read) == (0, 0)
    read.close()
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    never.set()


def test_a_wait_ends_when_nobody_wants_the_rest():
    never, expected = threading.Event(), ReaderAlive()
    read = ahead(lambda i: i and never.wait(60), [0, 1, 2], expected)
    assert next(read) == (0, 0)
    threading.Timer(0.3, expected.end).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(read)
    assert 0.2 < time.monotonic() - began < 10
    never.set()


def test_a_process_is_wanted_as_long_as_the_one_that_forked_it():
    expected, context = ReaderAlive(), get_context("fork")
    told, tell = context.Pipe(duplex=False)

    def child(parent: int) -> None:
        tell.send(expected())
        while os.getppid() == parent:
            time.sleep(0.01)
        tell.send(expected())

    def between() -> None:
        nonlocal expected
        expected = ReaderAlive()
        process = context.Process(target=child, args=(os.getpid(),))
        process.start()
        tell.send("here")
        os._exit(0)  # without waiting for it

    process = context.Process(target=between)
    process.start()
    process.join()
    assert sorted([told.recv(), told.recv()], key=str) == [True, "here"]
    assert told.recv() is False
    assert expected()


def test_that_nobody_reads_is_told_to_forked_processes():
    expected, context = ReaderAlive(), get_context("fork")

    def child() -> None:
        while expected():
            time.sleep(0.01)

    process = context.Process(target=child)
    process.start()
    process.join(0.2)
    assert process.exitcode is None
    expected.end()
    process.join(10)
    assert process.exitcode == 0
