"""EpochBatches: every row once an epoch, in an order that is known from seed and epoch."""

import pytest
import torch

from ood_lightning.data.shards.epoch_order import EpochBatches


def epoch(n: int = 50, batch: int = 8, seed: int = 0, at: int = 0) -> list[list[int]]:
    batches = EpochBatches(n, batch, seed)
    batches.set_epoch(at)
    steps = [rows.tolist() for rows in batches]
    assert len(steps) == len(batches)
    return steps


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 50])
def test_an_epoch_has_every_row_once_and_only_its_last_batch_is_partial(n: int):
    for at in (0, 5):
        steps = epoch(n, at=at)
        assert sorted(row for rows in steps for row in rows) == list(range(n))
        assert [len(rows) for rows in steps] == [8] * (n // 8) + [n % 8] * (n % 8 > 0)


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    torch.manual_seed(0)
    first = epoch(seed=3, at=2)
    torch.manual_seed(1)
    batches = EpochBatches(50, 8, 3)
    list(batches)  # what came before does not count
    batches.set_epoch(2)
    assert [rows.tolist() for rows in batches] == first
    expected = torch.randperm(50, generator=torch.Generator().manual_seed(3 * 1_000_003 + 2)).tolist()
    assert [row for rows in first for row in rows] == expected
    assert first not in (epoch(seed=4, at=2), epoch(seed=3, at=3), epoch(seed=2, at=3))
