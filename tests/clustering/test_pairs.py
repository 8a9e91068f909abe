"""EpochPairs: the batches of the whole run, cut for any number of ranks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.clustering.pairs import EpochPairs, PairFeatures, resident


def epoch(
    n: int = 50, k: int = 5, batch: int = 8, seed: int = 0, at: int = 0, rank: int = 0, world: int = 1
) -> torch.Tensor:
    """Steps of one rank, (steps, share, 2)."""
    pairs = EpochPairs(n, k, batch, seed, rank, world)
    pairs.set_epoch(at)
    steps = list(pairs)
    assert len(steps) == len(pairs)
    return torch.stack(steps)


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_the_shares_of_all_ranks_are_the_same_batches_in_the_same_order(world: int):
    for at in (0, 1, 7):
        shares = [epoch(at=at, rank=rank, world=world) for rank in range(world)]
        torch.testing.assert_close(torch.cat(shares, dim=1), epoch(at=at), atol=0, rtol=0)


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 40), st.integers(0, 3))
@settings(deadline=None)
def test_an_epoch_meets_each_image_at_most_once_and_drops_less_than_a_batch(n: int, k: int, batch: int, at: int):
    batch = min(batch, n)
    steps = epoch(n, k, batch, at=at)
    images, columns = steps.flatten(0, 1).unbind(1)
    assert len(images) == n - n % batch
    assert len(set(images.tolist())) == len(images)
    assert set(images.tolist()) <= set(range(n))
    assert set(columns.tolist()) <= set(range(k))


def test_batches_are_a_function_of_seed_and_epoch_alone():
    torch.manual_seed(0)
    first = epoch(seed=3, at=2)
    torch.manual_seed(1)
    pairs = EpochPairs(50, 5, 8, 3, 0, 1)
    list(pairs)  # what came before does not count
    pairs.set_epoch(2)
    torch.testing.assert_close(torch.stack(list(pairs)), first, atol=0, rtol=0)
    torch.testing.assert_close(torch.stack(list(pairs)), first, atol=0, rtol=0)
    for other in (epoch(seed=4, at=2), epoch(seed=3, at=3), epoch(seed=2, at=3)):
        assert (other != first).any()


def test_batches_are_those_of_checkpoints_written_before():
    draw = torch.Generator().manual_seed(3 * 1_000_003 + 2)
    order, column = torch.randperm(50, generator=draw), torch.randint(5, (50,), generator=draw)
    expected = [[[i, int(column[i])] for i in order[start : start + 8].tolist()] for start in range(0, 48, 8)]
    assert epoch(seed=3, at=2).tolist() == expected


def test_neighbours_are_drawn_evenly_and_anew_every_epoch():
    drawn = torch.stack([epoch(n=400, k=5, batch=400, at=at)[0] for at in range(20)])
    share = torch.bincount(drawn[:, :, 1].flatten(), minlength=5) / drawn[:, :, 1].numel()
    assert (share - 0.2).abs().max() < 0.02  # deviation 0.0045
    columns = torch.stack([rows[rows[:, 0].argsort(), 1] for rows in drawn])  # by image
    assert (columns[0] != columns[1]).float().mean() > 0.6


def test_features_of_pairs_are_those_of_image_and_neighbour():
    image = torch.arange(12.0).view(4, 3).half()
    neighbours = torch.tensor([[1, 2], [0, 3], [3, 0], [2, 1]])
    pairs = PairFeatures(image, neighbours)[torch.tensor([[3, 1], [0, 0]])]
    assert pairs["image"].dtype == pairs["neighbour"].dtype == torch.float32
    torch.testing.assert_close(pairs["image"], image[[3, 0]].float())
    torch.testing.assert_close(pairs["neighbour"], image[[1, 1]].float())


@pytest.mark.parametrize(("free", "moved"), [(10**6, True), (2 * (6 * 4 * 4 + 6 * 2 * 4), True), (200, False)])
def test_features_go_to_a_gpu_where_they_fit_in_half_of_what_is_free(
    free: int, moved: bool, monkeypatch: pytest.MonkeyPatch
):
    """96 bytes of features and 48 of neighbours; `meta` stands in for the GPU."""
    image, neighbours = torch.randn(6, 4), torch.zeros(6, 2, dtype=torch.int32)
    assert resident(image, neighbours, torch.device("cpu")) == (image, neighbours)

    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: ("moved", self))
    held = resident(image, neighbours, gpu)
    assert [isinstance(one, tuple) for one in held] == [moved, moved]
