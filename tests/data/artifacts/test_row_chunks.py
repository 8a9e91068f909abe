"""Neighbours and moments in chunks of rows: what is stored, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from damaged_stores import rewrite
from torch import Tensor

from ood_lightning.data.artifacts import row_chunks
from ood_lightning.data.artifacts.row_chunks import RowChunks
from ood_lightning.errors import FeatureError
from ood_lightning.functional.moments import moments

NEAREST = torch.tensor([[1, 2], [0, 2], [1, 0]], dtype=torch.int32)


def one_chunk(folder: Path, **provenance: str) -> RowChunks:
    return RowChunks(folder / "neighbours-2", {"set": "x", **provenance}, 3)


@pytest.mark.parametrize("n", [1, 4096, 4097, 1_048_576, 1_048_577, 3_000_001])
def test_chunks_cover_all_rows_once_and_are_at_most_256(n: int):
    chunks = RowChunks(Path("x"), {}, n).chunks
    assert [chunk.start for chunk in chunks] == [0, *(chunk.stop for chunk in chunks[:-1])]
    assert chunks[-1].stop == n
    assert len(chunks) <= 256
    assert all(len(chunk) >= 4096 for chunk in chunks[:-1])


def test_neighbours_come_back_as_they_were_written_in_four_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_chunks, "LEAST_ROWS", 2)
    chunks = RowChunks(tmp_path / "n", {"set": "x"}, 3)
    assert chunks.missing() == [range(2), range(2, 3)]

    for rows in reversed(chunks.chunks):
        chunks.write(rows, {"neighbours": NEAREST[rows.start : rows.stop]})
    assert chunks.missing() == []
    stored = chunks.neighbours(2)
    assert stored.dtype == torch.int32
    assert torch.equal(stored.to("cpu"), NEAREST)


def test_moments_of_chunks_are_those_of_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_chunks, "LEAST_ROWS", 4)
    image = torch.randn(11, 3, generator=torch.Generator().manual_seed(0)).half()
    chunks = RowChunks(tmp_path / "m", {}, 11)
    for rows in chunks.chunks:
        of_chunk = moments(image, rows)
        chunks.write(rows, {"mean": of_chunk.mean, "squares": of_chunk.squares})
    torch.testing.assert_close(chunks.moments().deviation, image.double().std(dim=0))
    torch.testing.assert_close(chunks.moments().mean, image.double().mean(dim=0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows - 3, "names image -3 of 3"),
        (lambda rows: rows + 1, "names image 3 of 3"),
        (Tensor.float, "neighbours is float32"),
        (lambda rows: rows[:, 1:], r"expected int32 \[3, 2\]"),
        (lambda rows: rows[1:], r"expected int32 \[3, 2\]"),
    ],
)
def test_neighbours_outside_the_set_are_named(tmp_path: Path, change: Callable[[Tensor], Tensor], words: str):
    chunks = one_chunk(tmp_path)
    chunks.write(range(3), {"neighbours": NEAREST})
    rewrite(chunks.file(range(3)), "neighbours", change)
    with pytest.raises(FeatureError, match=rf"neighbours-2/0+\.safetensors .*{words}.*: remove it and run again"):
        chunks.neighbours(2)


def test_a_cut_file_and_one_of_other_features_are_refused(tmp_path: Path):
    chunks = one_chunk(tmp_path)
    chunks.write(range(3), {"neighbours": NEAREST})
    with pytest.raises(FeatureError, match="belongs to another encoder"):
        one_chunk(tmp_path, encoder="e").neighbours(2)

    chunks.file(range(3)).write_bytes(b"cut")
    with pytest.raises(FeatureError, match=r"neighbours-2/0+\.safetensors is missing or damaged"):
        chunks.neighbours(2)
