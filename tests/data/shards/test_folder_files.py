"""Names of files below a folder, and the files of a virtual shard as samples."""

import os
from collections import Counter
from pathlib import Path

import picture_folders
import pytest
from noise_images import noise_image

from ood_lightning.data.shards.folder_files import FolderFiles, key_of, packed_file, picture_names
from ood_lightning.data.shards.formats import MAX_BYTES
from ood_lightning.data.shards.samples import examined, located, read_samples
from ood_lightning.data.shards.tars import Fault, Located
from ood_lightning.errors import ShardContentError, SourceError


def files_of(folder: Path, names: list[str]) -> FolderFiles:
    rows = [packed_file(str(folder), name) for name in names]
    assert all(rows)
    return FolderFiles(folder, b"".join(row[0] for row in rows if row))


@pytest.fixture
def three(tmp_path: Path) -> FolderFiles:
    """Files of 1, 2 and 3 bytes."""
    for i, name in enumerate(("a.png", "b/c.png", "d.png"), 1):
        picture_folders.write(tmp_path, name, b"x" * i)
    return files_of(tmp_path, ["a.png", "b/c.png", "d.png"])


def test_hidden_files_forks_and_other_files_are_passed_over_and_counted(tmp_path: Path):
    passed_over = Counter[str]()
    names = sorted(picture_names(picture_folders.mixed(tmp_path), passed_over))
    pictures = ["B/c.JPEG", "B/d.webp", "a.jpg", "e.tiff", "f/g/h.bmp", "named_jpg.jpg"]
    assert names == sorted([*pictures, "gone.png", "pipe.png"])
    assert passed_over == {
        ".txt": 1,
        "no ending": 1,
        "hidden files": 1,
        "hidden folders": 2,
        "resource forks of macOS": 2,
    }


def test_hidden_pictures_belong_to_what_is_packed(tmp_path: Path):
    passed_over = Counter[str]()
    names = set(picture_names(picture_folders.mixed(tmp_path), passed_over, hidden=True))
    assert {".hidden.png", ".thumbnails/a.jpg", "B/.x/y.jpg"} < names
    assert not {"._a.jpg", "__MACOSX/a.jpg"} & names
    assert passed_over["resource forks of macOS"] == 2


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path):
    picture_folders.write(tmp_path, "there/deep/x.png", b"-")
    here = tmp_path / "here"
    here.mkdir()
    (here / "z").symlink_to(tmp_path / "there")
    (here / "again").symlink_to(tmp_path / "there")
    (here / "itself").symlink_to(here)
    (tmp_path / "there" / "loop").symlink_to(here)
    assert list(picture_names(here, Counter())) == ["again/deep/x.png"]


@pytest.mark.parametrize("named", [".", "sub/..", "sub/../"])
def test_names_are_relative_however_the_folder_is_named(tmp_path: Path, named: str):
    picture_folders.write(tmp_path, "sub/x.png", b"-")
    assert list(picture_names(Path(named), Counter())) == ["sub/x.png"]
    assert list(picture_names(tmp_path, Counter())) == ["sub/x.png"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    picture_folders.write(tmp_path, "shut/x.png", b"-")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=r"shut cannot be read: Permission denied"):
        list(picture_names(tmp_path, Counter()))


def test_names_that_are_no_plain_file_are_not_kept(tmp_path: Path):
    picture_folders.mixed(tmp_path)
    assert packed_file(str(tmp_path), "gone.png") is None
    assert packed_file(str(tmp_path), "pipe.png") is None
    assert packed_file(str(tmp_path), "B") is None


def test_samples_are_files_in_order(three: FolderFiles):
    samples = list(read_samples(three))
    assert [(s.key, s.data, s.label, s.unread) for s in samples] == [
        ("a.png", b"x", -1, ""),
        ("b/c.png", b"xx", -1, ""),
        ("d.png", b"xxx", -1, ""),
    ]


def test_keys_of_hostile_names_differ_and_are_utf8(tmp_path: Path):
    picture_folders.hostile(tmp_path)
    samples = list(read_samples(files_of(tmp_path, list(picture_folders.HOSTILE))))
    keys = [sample.key for sample in samples]
    assert len(set(keys)) == len(keys)
    assert all(key.encode() for key in keys)
    assert not any(sample.unread for sample in samples)
    assert keys[:3] == list(picture_folders.HOSTILE[:3])


def test_no_two_names_share_a_key():
    parts = ["\\", "\udcff", "udcff", "x"]
    names = {a + b + c + d for a in parts for b in parts for c in parts for d in parts}
    assert len({key_of(name) for name in names}) == len(names)


def test_a_file_that_is_gone_or_was_changed_is_named(tmp_path: Path, three: FolderFiles):
    os.unlink(tmp_path / "b/c.png")
    (tmp_path / "d.png").write_bytes(b"longer")
    first, second, third = examined(three)
    assert isinstance(first, Located)
    assert isinstance(second, Fault)
    assert "now not (No such file or directory). Give the same command again" in second.what
    assert isinstance(third, Fault)
    assert "was changed since the folder was listed" in third.what
    with pytest.raises(ShardContentError, match=r"b/c\.png' was there when the folder was listed"):
        list(located(three))


def test_another_time_alone_is_a_change(tmp_path: Path, three: FolderFiles):
    status = os.stat(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    with pytest.raises(ShardContentError, match=r"'a\.png' was changed"):
        list(located(three))


def test_a_file_that_may_not_be_read_is_a_sample_that_says_so(three: FolderFiles, monkeypatch: pytest.MonkeyPatch):
    picture_folders.forbid(monkeypatch, "a.png")
    first, second, _ = read_samples(three)
    assert (first.key, first.data, first.unread) == ("a.png", b"", "Permission denied")
    assert second.data == b"xx"


def test_a_huge_file_is_not_read_whole(tmp_path: Path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.write(noise_image())
        file.truncate(2**40)  # takes no room
    (sample,) = located(files_of(tmp_path, ["huge.png"]))
    assert sample.picture.size == MAX_BYTES + 1
