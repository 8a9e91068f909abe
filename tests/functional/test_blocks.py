"""Blocks that shrink where memory runs out, and rows that fit a cache."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional import blocks
from ood_lightning.functional.blocks import in_blocks, in_cached_rows


def covered(n: int, block: int, room: int) -> list[tuple[int, int]]:
    """Blocks that were done where no more than `room` items fit."""
    done: list[tuple[int, int]] = []

    def work(start: int, stop: int) -> None:
        if stop - start > room:
            raise torch.cuda.OutOfMemoryError(f"{stop - start} items")
        done.append((start, stop))

    in_blocks(n, block, work)
    return done


@pytest.mark.parametrize("room", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("block", [1, 4, 9, 64])
@pytest.mark.parametrize("n", [0, 1, 13, 64])
def test_every_item_is_done_once_and_in_order(n: int, block: int, room: int):
    done = covered(n, block, room)
    assert [item for start, stop in done for item in range(start, stop)] == list(range(n))
    assert all(stop - start <= min(block, room) for start, stop in done)


def test_it_goes_on_from_where_memory_ran_out_with_half_the_block():
    assert covered(10, 8, 5) == [(0, 4), (4, 8), (8, 10)]


def test_where_one_item_is_too_many_the_error_is_torchs_own():
    with pytest.raises(torch.cuda.OutOfMemoryError, match="1 items"):
        covered(5, 4, 0)


def test_other_errors_are_not_taken_for_it():
    def work(start: int, stop: int) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        in_blocks(3, 2, work)


@pytest.mark.parametrize("cached", [1, 12, 13, 10_000])
def test_rows_come_back_in_order(cached: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "_CACHED", cached)
    seen: list[int] = []

    def work(rows: Tensor) -> Tensor:
        seen.append(rows.numel())
        return rows.sum(dim=1)

    rows = torch.arange(60.0).view(10, 6)
    assert torch.equal(in_cached_rows(work, rows), rows.sum(dim=1))
    assert max(seen) <= max(6, cached)
    assert in_cached_rows(work, rows[:0]).shape == (0,)


def test_rows_of_several_tensors_stay_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "_CACHED", 13)
    one, other = torch.arange(60.0).view(10, 6), torch.arange(60.0).view(10, 6).flip(0)
    got = in_cached_rows(lambda a, b: (a * b).sum(dim=1), one, other)
    assert torch.equal(got, (one * other).sum(dim=1))
