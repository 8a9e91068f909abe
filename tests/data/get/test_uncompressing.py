"""Compressed tars: the tar within, once, and nothing of a damaged or hostile one."""

import gzip
from pathlib import Path

import pytest
from small_archives import picture, tar_of

from ood_lightning.data.get import uncompressing
from ood_lightning.data.get.uncompressing import is_compressed, plain_tar, uncompressed
from ood_lightning.errors import SourceError

MEMBERS = {f"a/{i}.png": picture(i) for i in range(3)}


@pytest.mark.parametrize(
    ("mode", "name"), [("w:gz", "a.tar.gz"), ("w:gz", "a.tgz"), ("w:bz2", "a.tar.bz2"), ("w:xz", "a.txz")]
)
def test_the_tar_within_is_that_which_was_compressed(tmp_path: Path, mode: str, name: str):
    path = tmp_path / name
    path.write_bytes(tar_of(MEMBERS, mode))
    assert is_compressed(name)
    assert uncompressed(path) == tmp_path / "a.tar" == plain_tar(path)
    assert (tmp_path / "a.tar").read_bytes() == tar_of(MEMBERS)
    assert path.is_file()


def test_a_finished_one_is_taken_again_unless_the_compressed_file_is_another(tmp_path: Path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_of(MEMBERS, "w:gz"))
    made = uncompressed(path)
    made_at = made.stat().st_ino
    assert uncompressed(path).stat().st_ino == made_at

    path.write_bytes(tar_of({"b.png": picture(1)}, "w:gz"))
    assert uncompressed(path).read_bytes() == tar_of({"b.png": picture(1)})


def test_a_plain_tar_under_any_name_is_taken_as_it_is(tmp_path: Path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_of(MEMBERS))
    assert uncompressed(path) == path


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_cut_one_is_refused_and_leaves_nothing(tmp_path: Path, share: float):
    path = tmp_path / "a.tar.gz"
    whole = tar_of(MEMBERS, "w:gz")
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SourceError, match="damaged or cut"):
        uncompressed(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.gz"]


def test_one_that_grows_beyond_any_set_of_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uncompressing, "CHUNK", 1 << 12)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(1 << 22)))
    with pytest.raises(SourceError, match="more than 20 times as large"):
        uncompressed(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.gz"]
