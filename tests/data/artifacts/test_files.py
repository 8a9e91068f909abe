"""Files are written whole or not at all, whoever else writes them."""

import errno
import fcntl
from multiprocessing import get_context
from pathlib import Path

import pytest
from full_disk import full_disk
from waiting import HANG_S

from ood_lightning.data.artifacts import files
from ood_lightning.data.artifacts.files import atomic_file, atomic_write, sole_writer
from ood_lightning.errors import SettingsError, SourceError, UnwritableError


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "sub" / "x.bin"
    atomic_write(target, b"old")
    words = r"x\.bin cannot be written: No space left on device\. Make room, or name another place.*goes on"
    with full_disk(), pytest.raises(UnwritableError, match=words):
        atomic_write(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["x.bin"]


def test_a_file_written_in_pieces_is_there_once_all_of_them_are(tmp_path: Path):
    target = tmp_path / "sub" / "x.bin"
    with atomic_file(target) as file:
        file.write(b"a")
        assert not target.exists()
        file.write(b"b")
    assert target.read_bytes() == b"ab"

    def cut_short(error: Exception) -> None:
        with atomic_file(target) as file:
            file.write(b"c")
            raise error

    for error in (ValueError("half"), SourceError("half")):  # the latter is an OSError too, and not of this file
        with pytest.raises(type(error), match="half"):
            cut_short(error)
    assert target.read_bytes() == b"ab"
    assert [path.name for path in target.parent.iterdir()] == ["x.bin"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableError, match=r"file/sub cannot be written: Not a directory"):
        atomic_write(tmp_path / "file" / "sub" / "x.bin", b"")


def test_two_writers_of_one_file_never_share_a_temporary_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Containers on two nodes often run under one process id."""
    names = set()
    original = Path.replace

    def spy(self: Path, target: Path) -> Path:
        names.add(self.name)
        return original(self, target)

    monkeypatch.setattr(files.Path, "replace", spy)
    for _ in range(3):
        atomic_write(tmp_path / "x", b"same")
    assert len(names) == 3


@pytest.mark.parametrize("finished", [True, False])
def test_a_writer_whose_temporary_file_is_swept_by_one_that_finished_first_is_done_too(
    finished: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target, original = tmp_path / "x", Path.replace

    def late(self: Path, to: Path) -> Path:
        if finished:
            target.write_bytes(b"same")
        files.sweep(tmp_path, {"x"})
        return original(self, to)

    monkeypatch.setattr(files.Path, "replace", late)
    if finished:
        atomic_write(target, b"same")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
    else:  # nobody has: the loss is not passed over
        with pytest.raises(UnwritableError, match="x cannot be written: No such file"):
            atomic_write(target, b"same")


def test_a_folder_has_one_writer_and_a_forked_worker_keeps_nothing(tmp_path: Path):
    folder = tmp_path / "run"
    here, there = get_context("fork").Pipe()

    def write(until: str) -> None:
        try:
            with sole_writer(folder):
                there.send("held")
                there.recv() if until else None
        except SettingsError as error:
            there.send(str(error))

    first = get_context("fork").Process(target=write, args=("told",))
    first.start()
    assert here.recv() == "held"
    second = get_context("fork").Process(target=write, args=("",))
    second.start()
    assert "another process is writing into" in here.recv()
    first.kill()
    first.join()

    with sole_writer(folder):
        worker = get_context("fork").Process(target=here.poll, args=(HANG_S,))
        worker.start()
    third = get_context("fork").Process(target=write, args=("",))
    third.start()
    assert here.recv() == "held"
    for process in (second, worker, third):
        process.kill()
        process.join()


def test_a_folder_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with sole_writer(tmp_path):
        assert "no file can be locked" in caplog.text
