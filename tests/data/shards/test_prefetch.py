"""The next file is on its way while one is read, and no more than the next."""

import os
import threading
import time
from multiprocessing import get_context

import pytest
from waiting import HANG_S

from ood_lightning.data.shards.prefetch import ReaderAlive, prefetch


def test_the_next_is_fetched_while_one_is_read():
    begun = [threading.Event() for _ in range(4)]

    def fetch(i: int) -> str:
        begun[i].set()
        return f"{i} here"

    for i, result in prefetch(fetch, range(4), ReaderAlive()):
        assert result == f"{i} here"
        assert i == 3 or begun[i + 1].wait(HANG_S)
        assert not any(later.wait(0.02) for later in begun[i + 2 :])


def test_what_fails_fails_in_its_turn():
    def fetch(i: int) -> int:
        return 6 // (2 - i)

    read = prefetch(fetch, range(4), ReaderAlive())
    assert [next(read), next(read)] == [(0, 3), (1, 6)]
    with pytest.raises(ZeroDivisionError):
        next(read)


def test_nothing_to_fetch():
    assert list(prefetch(str, [], ReaderAlive())) == []


def test_a_fetch_that_hangs_keeps_nobody_who_stopped_reading():
    before, never = set(threading.enumerate()), threading.Event()
    read = prefetch(lambda i: i and never.wait(HANG_S), [0, 1], ReaderAlive())
    assert next(read) == (0, 0)

    started = set(threading.enumerate()) - before
    read.close()
    assert started
    assert all(thread.daemon for thread in started)
    never.set()


def test_a_wait_ends_when_nobody_reads_any_more():
    never, alive = threading.Event(), ReaderAlive()
    read = prefetch(lambda i: i and never.wait(HANG_S), [0, 1, 2], alive)
    assert next(read) == (0, 0)

    ended = threading.Event()

    def end() -> None:
        ended.set()
        alive.end()

    threading.Timer(0.3, end).start()
    with pytest.raises(KeyboardInterrupt):
        next(read)
    assert ended.is_set()
    never.set()


def test_a_reader_that_ended_gets_nothing_that_is_ready():
    alive = ReaderAlive()
    read = prefetch(str, [0, 1], alive)
    next(read)
    alive.end()
    with pytest.raises(KeyboardInterrupt):
        next(read)


def test_a_worker_knows_whether_the_process_that_forked_it_lives():
    alive, context = ReaderAlive(), get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def worker(parent: int) -> None:
        sender.send(alive())
        while os.getppid() == parent:
            time.sleep(0.01)
        sender.send(alive())

    def reader() -> None:
        nonlocal alive
        alive = ReaderAlive()
        context.Process(target=worker, args=(os.getpid(),)).start()
        sender.send("reader ends")
        os._exit(0)  # without waiting for the worker

    process = context.Process(target=reader)
    process.start()
    process.join()

    # the worker may look before its parent ends, or after
    first, second = receiver.recv(), receiver.recv()
    assert "reader ends" in (first, second)
    assert receiver.recv() is False
    assert alive()


def test_that_nobody_reads_is_known_in_forked_processes():
    alive, context = ReaderAlive(), get_context("fork")

    def worker() -> None:
        while alive():
            time.sleep(0.01)

    process = context.Process(target=worker)
    process.start()
    process.join(0.2)
    assert process.exitcode is None

    alive.end()
    process.join(HANG_S)
    assert process.exitcode == 0
