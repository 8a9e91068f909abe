"""Pictures in folders: their order, links, and what holds none."""

from pathlib import Path

import pytest
from shard_files import encoded

from ood_lightning.data.pack.folder import find_pictures
from ood_lightning.errors import SourceError


def test_pictures_of_a_folder_in_the_order_of_their_paths(tmp_path: Path):
    for name in ("b.PNG", "a/c.jpeg", "a/b/d.webp", "notes.txt", "a.png.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded((0, 0, 0), 0))
    paths = [str(path.relative_to(tmp_path)) for path in find_pictures(str(tmp_path))]
    assert paths == ["a/b/d.webp", "a/c.jpeg", "b.PNG"]
    assert find_pictures(str(tmp_path / "notes.txt")) == [tmp_path / "notes.txt"]  # named by a person: taken


def test_links_to_pictures_and_folders_are_followed_once(tmp_path: Path):
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "there" / "deep" / "x.png").write_bytes(b"-")
    here = tmp_path / "here"
    here.mkdir()
    (here / "one.png").symlink_to(tmp_path / "there" / "deep" / "x.png")
    (here / "broken.png").symlink_to(tmp_path / "gone.png")
    (here / "folder").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "loop").symlink_to(here)  # back up: must end
    assert [str(path.relative_to(here)) for path in find_pictures(str(here))] == ["folder/deep/x.png", "one.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("none", "there is no file or folder"), ("/dev/null", "is no plain file"), (".", "holds no pictures")],
)
def test_nothing_to_score(tmp_path: Path, name: str, words: str):
    with pytest.raises(SourceError, match=words):
        find_pictures(str(tmp_path / name))
