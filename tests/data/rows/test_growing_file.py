"""A file of rows that is killed at any write, and ends with the bytes of an undisturbed one."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from full_disk import full_disk

from ood_lightning.data.rows.growing_file import growing_file, journal_of, partial_of
from ood_lightning.errors import SettingsError, UnwritableError

BLOCKS = [f"{i} {'x' * (i % 7)}\n".encode() for i in range(12)]
OUT = Path("new/rows.csv")


def write(blocks: list[bytes] = BLOCKS, run: str = "r", reached: Callable[[], None] = lambda: None) -> int:
    """All blocks, each for an image of its number; returns how many were written now."""
    with growing_file(OUT, run) as file:
        n_done = file.journal.images
        for i in range(n_done):
            file.count(str(i))
        if n_done:
            file.check_images()

        for i, block in enumerate(blocks[n_done:], n_done):
            reached()
            file.count(str(i))
            file.append(block, 1, {"sum": i})
        reached()
        file.finish()
    return len(blocks) - n_done


def stopped(n: int) -> None:
    """Write as far as the n-th block, and stop there."""

    def reached() -> None:
        nonlocal n
        n -= 1
        if n < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(reached=reached)


def test_a_file_goes_on_where_it_was_stopped():
    stopped(5)
    assert not OUT.exists()
    assert partial_of(OUT).read_bytes() == b"".join(BLOCKS[:5])
    assert write() == 7
    assert OUT.read_bytes() == b"".join(BLOCKS)
    assert [path.name for path in OUT.parent.iterdir()] == ["rows.csv"]


def test_half_a_block_is_cut_off():
    stopped(4)
    with partial_of(OUT).open("ab") as file:
        file.write(BLOCKS[4][:2])
    assert write() == 8
    assert OUT.read_bytes() == b"".join(BLOCKS)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"0" * 40), lambda path: path.write_bytes(b""), Path.unlink]
)
def test_rows_that_are_not_what_the_journal_states_are_made_anew(damage: Callable[[Path], object]):
    stopped(9)
    damage(partial_of(OUT))
    assert write() == 12
    assert OUT.read_bytes() == b"".join(BLOCKS)


def test_another_run_or_other_images_do_not_go_on_with_it():
    stopped(3)
    with pytest.raises(SettingsError, match=r"begun with another detector or other settings \(3 images are done\)"):
        write(run="another")
    with growing_file(OUT, "r") as file:
        for name in ("0", "1", "7"):
            file.count(name)
        with pytest.raises(SettingsError, match="begun with other images, of which 3 are done"):
            file.check_images()
    assert write() == 9

    stopped(3)
    journal_of(OUT).unlink()
    assert write(run="another") == 12


def test_a_journal_that_is_none_is_refused_by_its_name():
    stopped(3)
    journal_of(OUT).write_text("{")
    with pytest.raises(SettingsError, match=r"\.rows\.csv\.journal is not readable as JSON.*Remove it to begin anew"):
        write()


def _hold(pipe: object) -> None:
    with growing_file(OUT, "r"):
        pipe.send("holds it")  # type: ignore[attr-defined]
        pipe.recv()  # type: ignore[attr-defined]


def test_two_processes_do_not_write_one_file():
    here, there = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_hold, args=(there,))
    process.start()
    here.recv()
    with pytest.raises(SettingsError, match=r"another process is writing new/rows\.csv"):
        write()
    here.send("end")
    process.join()
    assert write() == 12


def _killed(n: int) -> None:
    """Die at the n-th moment: before a block, and before and after each time that a file gets its name."""
    count = 0
    replace = Path.replace

    def reached() -> None:
        nonlocal count
        count += 1
        if count == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def replaced(path: Path, target: Path) -> Path:
        reached()
        result = replace(path, target)
        reached()
        return result

    Path.replace = replaced  # type: ignore[assignment,method-assign]
    write(reached=reached)


@pytest.mark.slow
def test_killed_at_every_step_it_ends_with_the_same_bytes():
    kills = 0
    for n in range(1, 60):
        process = get_context("fork").Process(target=_killed, args=(n,))
        process.start()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:
            break
        write()
        assert OUT.read_bytes() == b"".join(BLOCKS)
        assert not journal_of(OUT).exists()
        OUT.unlink()

    assert kills >= 30


def test_a_full_disk_is_said_and_loses_nothing():
    stopped(3)
    with full_disk(), pytest.raises(UnwritableError):
        write()
    assert write() == 9
    assert OUT.read_bytes() == b"".join(BLOCKS)
