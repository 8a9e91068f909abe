"""Scores as Parquet."""

from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from ood_lightning.data.artifacts.scores import ABOUT, SetScores, read_scores, write_scores
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
    detectors, scores = read_scores(tmp_path / "run" / "scores.parquet")
    assert detectors == ["MCM", "LabelMass"]
    assert scores["id"].tolist() == values
    assert scores["far"].tolist() == [[0.1, 0.2]]
    table = pq.read_table(tmp_path / "run" / "scores.parquet")
    assert tuple(table.column_names) == (*ABOUT, "MCM", "LabelMass")
    assert table.column("key").to_pylist() == ["a\nb", "ü", "a"]
    assert table.column("role").to_pylist() == ["id", "id", "ood"]


def test_no_scores_yet(tmp_path: Path):
    with pytest.raises(SourceError, match="run `test` first"):
        read_scores(tmp_path / "scores.parquet")


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path):
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(40, 2, generator=draw, dtype=torch.float64).tolist()
    path = tmp_path / "scores.parquet"
    write_scores(path, ["MCM", "LabelMass"], [scored("id", "id", [f"{i}" for i in range(40)], values)], "1a2b")
    written = path.read_bytes()

    n_read = 0
    for row in range(0, len(written), 23):
        path.write_bytes(written[:row] + bytes([written[row] ^ 4]) + written[row + 1 :])
        with suppress(SourceError):
            detectors, scores = read_scores(path)
            assert (detectors, scores["id"].tolist()) == (["MCM", "LabelMass"], values), row
            n_read += 1
    assert n_read < len(written) / 23 / 2
