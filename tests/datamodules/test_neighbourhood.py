"""Neighbours and moments of a set are the same for any number of processes, which share the rows."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from random_features import random_unit

from ood_lightning.data.artifacts import row_chunks
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.datamodules import neighbourhood
from ood_lightning.datamodules.neighbourhood import moments_of_set, neighbours_of_set, with_itself_first
from ood_lightning.errors import FeatureError, SettingsError
from ood_lightning.functional.rows import JoinedRows
from ood_lightning.functional.similarity import neighbours

IMAGE = random_unit(50, 6, seed=0).half()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_chunks, "LEAST_ROWS", 8)


def trainer(rank: int = 0, world_size: int = 1, barrier: Any = lambda name: None) -> Any:
    strategy = SimpleNamespace(barrier=barrier, root_device=torch.device("cpu"))
    return SimpleNamespace(
        strategy=strategy, global_rank=rank, world_size=world_size, is_global_zero=not rank, datamodule=None
    )


def folder(root: Path) -> FeatureFolder:
    return FeatureFolder(root, Manifest("x", "id", ()), "f" * 16)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.safetensors"))}


def test_neighbours_are_those_of_the_whole_set_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = JoinedRows(list(IMAGE.split(17)))
    expected = neighbours(IMAGE, 5)
    assert torch.equal(neighbours_of_set(trainer(), folder(tmp_path), image, 5, "exact", 0).to("cpu").long(), expected)

    def never(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(neighbourhood, "neighbours", never)
    again = neighbours_of_set(trainer(), folder(tmp_path), image, 5, "exact", 0).to("cpu")
    assert torch.equal(again.long(), expected)
    assert torch.equal(with_itself_first(again), torch.cat([torch.arange(50)[:, None], expected[:, :-1]], dim=1))


@pytest.mark.parametrize("world_size", [2, 3, 10])
def test_any_number_of_processes_writes_the_same_files(world_size: int, tmp_path: Path):
    one, many = folder(tmp_path / "one"), folder(tmp_path / "many")
    moments_of_set(trainer(), one, IMAGE)
    neighbours_of_set(trainer(), one, IMAGE, 5, "exact", 0)

    meeting = Barrier(world_size, timeout=60)

    def work(rank: int) -> torch.Tensor:
        share = trainer(rank, world_size, lambda name: meeting.wait())
        moments_of_set(share, many, IMAGE)
        return neighbours_of_set(share, many, IMAGE, 5, "exact", 0).to("cpu")

    with ThreadPoolExecutor(world_size) as processes:
        answers = list(processes.map(work, range(world_size)))
    assert all(torch.equal(answer.long(), neighbours(IMAGE, 5)) for answer in answers)
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_a_process_that_does_not_see_the_others_files_says_so(tmp_path: Path):
    with pytest.raises(FeatureError, match=r"rank 1 does not see .*0000000000\.safetensors.* need one cache_dir"):
        moments_of_set(trainer(1, 2), folder(tmp_path), IMAGE)


def test_a_process_that_is_late_or_gone_is_named_and_finished_parts_are_kept(tmp_path: Path):
    def barrier(name: str) -> None:
        if name == "neighbours of x":
            raise RuntimeError("[gloo] Timed out waiting 1800000ms for recv operation\nmore")

    late = trainer(0, 2, barrier)
    with pytest.raises(FeatureError, match=r"later than this one .*timeout.* kept in .*neighbours-5: .*1800000ms"):
        neighbours_of_set(late, folder(tmp_path), IMAGE, 5, "exact", 0)
    assert len(folder(tmp_path).neighbours(5, 50).missing()) == 3  # of 7 chunks this process has made 4


def test_a_search_that_is_too_long_says_how_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any):
    said: list[str] = []
    monkeypatch.setattr(neighbourhood, "MANY", 49)
    monkeypatch.setattr(neighbourhood, "rank_zero_info", said.append)
    neighbours_of_set(trainer(), folder(tmp_path), IMAGE, 5, "exact", 0)
    assert "exact neighbours of 50 images are 0 PFLOP: if that takes too long, set data.neighbour_search" in said[0]


def test_what_does_not_fit_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Large:
        shape, dtype = (10**9, 512), torch.float16

        def __len__(self) -> int:
            return self.shape[0]

        def to(self, device: torch.device) -> torch.Tensor:
            raise torch.OutOfMemoryError

    with pytest.raises(SettingsError, match="1,000,000,000 images take 1,024 GB, more than the GPU has left"):
        neighbourhood._on_gpu(Large(), torch.device("cuda"))  # type: ignore[arg-type]

    monkeypatch.setattr(neighbourhood, "MOST", 49)
    with pytest.raises(SettingsError, match="has 50 images, expected 49 or fewer: rows are int32"):
        neighbours_of_set(trainer(), folder(tmp_path), IMAGE, 5, "exact", 0)


def test_an_approximate_search_without_faiss_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(SettingsError, match=r"pip install 'ood-lightning\[faiss\]'"):
        neighbours_of_set(trainer(), folder(tmp_path), IMAGE, 5, "approximate", 0)


def test_approximate_neighbours_are_stored_beside_the_exact_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    pytest.importorskip("faiss")
    said: list[str] = []
    monkeypatch.setattr(neighbourhood, "rank_zero_info", said.append)
    got = neighbours_of_set(trainer(), folder(tmp_path), IMAGE, 5, "approximate", 0)
    assert torch.equal(got.to("cpu").long(), neighbours(IMAGE, 5))  # so few images are in one list
    assert "recall 1.000 on 50 images, 1 of 1 lists" in said[0]
    assert folder(tmp_path).neighbours(5, 50).missing()
