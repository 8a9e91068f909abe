"""Scores as Parquet."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from full_disk import full_disk
from score_tables import set_scores, stored_table

from ood_lightning.data.artifacts import scores as stored_scores
from ood_lightning.data.artifacts.scores import ABOUT, SetScores, StoredScores, run_of_scores, write_scores
from ood_lightning.errors import SourceError, UnwritableError


def scored(name: str, role: str, keys: list[str], scores: Sequence[Sequence[float]]) -> SetScores:
    return set_scores(name, role, keys, torch.tensor(scores, dtype=torch.float64))


def random_sets(*sizes: int) -> list[SetScores]:
    draw = torch.Generator().manual_seed(0)
    return [
        set_scores(f"set{i}", "id", [f"{i}/{k}" for k in range(n)], torch.randn(n, 2, generator=draw).double())
        for i, n in enumerate(sizes)
    ]


def test_scores_survive_the_disk_to_the_last_bit(tmp_path: Path):
    values = [[1 / 3, -1e-300], [23.00000000001, 5e10]]
    sets = [scored("id", "id", ["a\nb", "ü"], values), scored("far", "ood", ["a"], [[0.1, 0.2]])]
    write_scores(tmp_path / "run" / "scores.parquet", ["MCM", "LabelMass"], sets)
    detectors, scores = stored_table(tmp_path / "run" / "scores.parquet")
    assert detectors == ["MCM", "LabelMass"]
    assert scores["id"].tolist() == values
    assert scores["far"].tolist() == [[0.1, 0.2]]
    table = pq.read_table(tmp_path / "run" / "scores.parquet")
    assert tuple(table.column_names) == (*ABOUT, "MCM", "LabelMass")
    assert table.column("key").to_pylist() == ["a\nb", "ü", "a"]
    assert table.column("role").to_pylist() == ["id", "id", "ood"]
    assert table.column("label").to_pylist() == [0, 1, 0]
    assert table.column("top_positive").to_pylist() == ["dog", "", ""]
    assert table.column("top_negative").to_pylist() == ["é", "", ""]


@pytest.mark.parametrize("sizes", [(1,), (4, 3), (7, 1, 8), (12, 9)])
def test_row_groups_change_nothing_but_the_layout(tmp_path: Path, sizes: tuple[int, ...], monkeypatch):
    sets = random_sets(*sizes)
    write_scores(tmp_path / "one.parquet", ["MCM", "LabelMass"], sets, "1a2b")
    monkeypatch.setattr(stored_scores, "ROWS", 4)
    write_scores(tmp_path / "many.parquet", ["MCM", "LabelMass"], sets, "1a2b")

    one, many = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    assert one.equals(many, check_metadata=True)
    groups = pq.ParquetFile(tmp_path / "many.parquet").metadata
    expected = [min(4, n - start) for n in sizes for start in range(0, n, 4)]
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == expected

    for name in ("one", "many"):
        detectors, scores = stored_table(tmp_path / f"{name}.parquet")
        assert detectors == ["MCM", "LabelMass"]
        assert list(scores) == [f"set{i}" for i in range(len(sizes))]
        for of_set in sets:
            assert torch.equal(scores[of_set.name], of_set.scores.rows(0, len(of_set.keys))[:2].T)


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path):
    """One row group of several sets, dictionaries everywhere, no names of columns in its metadata."""
    path = tmp_path / "scores.parquet"
    names = ["id"] * 5 + ["far"] * 3 + ["id"]  # the last one not beside its like
    table = pa.table({
        **dict.fromkeys([column for column in ABOUT if column != "label"], names),
        "label": [0] * 9,
        "MCM": [float(i) for i in range(9)],
    })  # fmt: skip
    pq.write_table(table, path)

    stored = StoredScores(path)
    assert stored.detectors == ["MCM"]
    assert {name: values.tolist() for name, values in stored.column("MCM").items()} == {
        "id": [0, 1, 2, 3, 4, 8],
        "far": [5, 6, 7],
    }
    assert run_of_scores(path) == ""


def test_detectors_whose_names_begin_alike_are_told_apart(tmp_path: Path):
    """Parquet takes a dot for a way into a nested column."""
    names = ["MCM", "MCM.5", "MCM 0.01", "MCM 0", "a.b.c"]
    values = torch.arange(10.0).double().reshape(2, 5)
    write_scores(tmp_path / "scores.parquet", names, [set_scores("id", "id", ["a", "b"], values)])
    detectors, scores = stored_table(tmp_path / "scores.parquet")
    assert detectors == names
    assert torch.equal(scores["id"], values)


def test_no_scores_yet(tmp_path: Path):
    with pytest.raises(SourceError, match="run `test` first"):
        StoredScores(tmp_path / "scores.parquet")


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
            detectors, scores = stored_table(path)
            assert (detectors, scores["id"].tolist()) == (["MCM", "LabelMass"], values), row
            n_read += 1
    assert n_read < len(written) / 23 * 0.75  # what is never read may be damaged: keys, labels, words


@pytest.mark.parametrize("where", range(0, 4000, 401))
def test_a_damaged_column_of_scores_is_refused(tmp_path: Path, where: int):
    path = tmp_path / "scores.parquet"
    values = torch.randn(500, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    write_scores(path, ["MCM"], [set_scores("id", "id", [f"{i}" for i in range(500)], values)])
    content = bytearray(path.read_bytes())
    start = content.find(values[:10].numpy().tobytes())
    if start < 0:  # compressed: the column's chunk by its place
        start = pq.ParquetFile(path).metadata.row_group(0).column(len(ABOUT)).data_page_offset + 60
    content[start + where] ^= 8
    path.write_bytes(content)
    with pytest.raises(SourceError, match="no whole file of scores"):
        stored_table(path)


def test_a_full_disk_is_named_and_leaves_the_older_file(tmp_path: Path):
    path = tmp_path / "scores.parquet"
    write_scores(path, ["MCM", "LabelMass"], random_sets(3))
    before = path.read_bytes()
    with full_disk(), pytest.raises(UnwritableError, match="No space left on device"):
        write_scores(path, ["MCM", "LabelMass"], random_sets(4))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["scores.parquet"]
