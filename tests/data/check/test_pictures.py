"""What the check of one set finds, in a folder of pictures and in the tars of the same."""

from pathlib import Path

import picture_folders
import pytest
from noise_images import noise_image
from shard_files import MakeSet, encoded

from ood_lightning.data.check.pictures import check_pictures
from ood_lightning.data.shards.read_manifest import read_manifest


def test_unreadable_ones_and_copies_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = picture_folders.hostile(tmp_path / "x")
    same = noise_image()
    for name in ("a/1.png", "a/2.PNG", "z.png"):
        picture_folders.write(folder, name, same)
    picture_folders.write(folder, "broken.jpg", b"no picture")
    picture_folders.write(folder, "cut.png", encoded((1, 2, 3), 0)[:-40])
    picture_folders.write(folder, "shut.png", encoded((1, 2, 3), 1))
    picture_folders.write(folder, "list.txt", b"-")
    picture_folders.forbid(monkeypatch, "shut.png")

    result = check_pictures(read_manifest(str(folder)), workers=1)
    n = len(picture_folders.HOSTILE)
    assert (result.n_pictures, result.n_readable, result.n_different) == (n + 6, n + 3, n + 4)
    assert result.copies == (("pictures-000000 a/1.png", "pictures-000000 a/2.PNG", "pictures-000000 z.png"),)
    assert {problem.where: problem.what.split(":")[0] for problem in result.unreadable} == {
        "pictures-000000 broken.jpg": "cannot be decoded",
        "pictures-000000 cut.png": "cannot be decoded",
        "pictures-000000 shut.png": "cannot be decoded",
    }
    assert not result.problems
    assert result.passed_over == {".txt": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_of_several_shards_and_one_of_copies_alone(tmp_path: Path, workers: int):
    folder = picture_folders.coloured(tmp_path / "many", 300)
    result = check_pictures(read_manifest(str(folder)), workers)
    assert (result.n_pictures, result.unreadable, result.copies) == (300, (), ())

    for i in range(50):
        picture_folders.write(tmp_path / "one", f"{i}.png", noise_image())
    result = check_pictures(read_manifest(str(tmp_path / "one")), workers)
    assert (result.n_pictures, result.n_different, len(result.copies[0])) == (50, 1, 50)


def test_a_file_that_was_changed_since_the_listing_is_a_problem(tmp_path: Path):
    manifest = read_manifest(str(picture_folders.coloured(tmp_path / "x", 3)))
    (tmp_path / "x" / "0" / "0001.png").write_bytes(b"-")
    first, second = check_pictures(manifest, workers=1).problems
    assert first.where == "pictures-000000 0/0001.png"
    assert "was changed since the folder was listed" in first.what
    assert second.what == "holds 2 pictures, the manifest says 3"


def test_tars_are_checked_alike(tmp_path: Path, make_set: MakeSet):
    result = check_pictures(read_manifest(str(make_set(tmp_path, "s", shards=(3, 2)))), workers=1)
    assert (result.n_pictures, result.n_readable, result.problems) == (5, 5, ())
