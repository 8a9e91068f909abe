"""Scores as Parquet, and pictures in folders."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from shard_files import encoded

from ood_lightning.data.artifacts.scores import ABOUT, SetScores, read_scores, write_scores
from ood_lightning.data.pack.folder import find_pictures
from ood_lightning.errors import SourceError


def scored(name: str, role: str, keys: list[str], scores: list[list[float]]) -> SetScores:
    n = len(keys)
    return SetScores(
        name, role, keys, torch.arange(n), torch.tensor(scores, dtype=torch.float64), ["dog"] * n, ["é"] * n
    )


def test_scores_survive_the_disk_to_the_last_bit(tmp_path: Path):
    values = [[1 / 3, -1e-300], [23.00000000001, 5e10]]
    sets = [scored("id", "id", ["a\nb", "ü"], values), scored("far", "ood", ["a"], [[0.1, 0.2]])]
    write_scores(tmp_path / "run" / "scores.parquet", ["MCM", "LabelMass"], sets)
    detectors, found = read_scores(tmp_path / "run" / "scores.parquet")
    assert detectors == ["MCM", "LabelMass"]
    assert found["id"].tolist() == values
    assert found["far"].tolist() == [[0.1, 0.2]]
    table = pq.read_table(tmp_path / "run" / "scores.parquet")
    assert tuple(table.column_names) == (*ABOUT, "MCM", "LabelMass")
    assert table.column("key").to_pylist() == ["a\nb", "ü", "a"]
    assert table.column("role").to_pylist() == ["id", "id", "ood"]


def test_no_scores_yet(tmp_path: Path):
    with pytest.raises(SourceError, match="run `test` first"):
        read_scores(tmp_path / "scores.parquet")


def test_pictures_of_a_folder_in_the_order_of_their_paths(tmp_path: Path):
    for name in ("b.PNG", "a/c.jpeg", "a/b/d.webp", "notes.txt", "a.png.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded((0, 0, 0), 0))
    found = [str(path.relative_to(tmp_path)) for path in find_pictures(str(tmp_path))]
    assert found == ["a/b/d.webp", "a/c.jpeg", "b.PNG"]
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


@pytest.mark.parametrize(("name", "words"), [("none", "there is no file or folder"), (".", "holds no pictures")])
def test_nothing_to_score(tmp_path: Path, name: str, words: str):
    with pytest.raises(SourceError, match=words):
        find_pictures(str(tmp_path / name))
