"""Scores of several processes in the first one: what one process alone would have, by way of a folder that all see."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from score_tables import collected

from ood_lightning.errors import FeatureError, ShardCountError
from ood_lightning.evaluation.join import FOLDER, join_scores, remove_shares
from ood_lightning.metrics.joined_scores import JoinedScores

SIZES = (23, 1, 8)
TABLES = [torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in SIZES]
SETS: Any = [SimpleNamespace(manifest=SimpleNamespace(name=f"set{i}"), features=range(n)) for i, n in enumerate(SIZES)]


class Ranks:
    """Threads in place of processes, with what the Trainer offers to one of them."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders, self.waiting, self.value = folders, Barrier(len(folders), timeout=20), ""

    def trainer(self, rank: int) -> Any:
        def broadcast(value: str) -> str:
            if rank == 0:
                self.value = value
            self.waiting.wait()
            return self.value

        strategy = SimpleNamespace(broadcast=broadcast, barrier=lambda name: self.waiting.wait())
        return SimpleNamespace(
            world_size=len(self.folders),
            global_rank=rank,
            is_global_zero=rank == 0,
            default_root_dir=str(self.folders[rank]),
            strategy=strategy,
        )


def share(table: torch.Tensor, rank: int, world_size: int) -> Any:
    """As loaders share a set: consecutive rows, of which some ranks may have none."""
    n = len(table)
    rows = torch.arange(n * rank // world_size, n * (rank + 1) // world_size)
    return collected(table[rows], rows)


def joined(folders: list[Path], tables: list[torch.Tensor] = TABLES) -> list[Future[list[JoinedScores]]]:
    ranks = Ranks(folders)
    with ThreadPoolExecutor(len(folders)) as threads:
        return [
            threads.submit(
                join_scores, ranks.trainer(rank), [share(table, rank, len(folders)) for table in tables], SETS
            )
            for rank in range(len(folders))
        ]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_the_first_process_has_what_one_alone_has_and_the_others_nothing(world_size: int, tmp_path: Path):
    first, *others = [future.result() for future in joined([tmp_path] * world_size)]
    assert others == [[]] * (world_size - 1)
    for scores, table in zip(first, TABLES, strict=True):
        assert torch.equal(scores.rows(0, len(table)), table.T)
        assert all(torch.equal(scores.column(k), table[:, k]) for k in range(3))

    (folder,) = tmp_path.glob(f"{FOLDER}*") if world_size > 1 else [None]
    if folder:
        assert len(list(folder.iterdir())) == world_size * len(SIZES)
    remove_shares(Ranks([tmp_path]).trainer(0))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed(tmp_path: Path):
    old = tmp_path / f"{FOLDER}0123"
    old.mkdir()
    (old / "0-0.safetensors").write_bytes(b"half")
    for world_size in (1, 2):
        assert joined([tmp_path] * world_size)[0].result()
        assert not old.exists()


def test_processes_without_a_common_folder_are_told_what_they_need(tmp_path: Path):
    first, second = joined([tmp_path / "here", tmp_path / "there"])
    with pytest.raises(FeatureError, match=r"0-1\.safetensors is missing .* need one trainer\.default_root_dir"):
        first.result()
    assert second.result() == []


def test_an_image_that_nobody_scored_is_missed(tmp_path: Path):
    with pytest.raises(ShardCountError, match=r"'set0' .* yielded 22 samples"):
        joined([tmp_path] * 2, [TABLES[0][:22], *TABLES[1:]])[0].result()
