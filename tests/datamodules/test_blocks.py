"""Evaluation in blocks: every row once for any number of ranks, cut at the same places."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.data.artifacts.features import Features
from ood_lightning.datamodules.blocks import Blocks


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 9))
@settings(deadline=None)
def test_every_row_comes_once_in_blocks_that_do_not_depend_on_the_ranks(n: int, block: int, world: int):
    features = Features("x", torch.arange(n)[:, None].half(), torch.zeros(n), [""] * n, [])
    ranks = [Blocks(features, block, rank, world) for rank in range(world)]
    parts = [blocks[i] for blocks in ranks for i in range(len(blocks))]
    alone = Blocks(features, block, 0, 1)
    assert len(parts) == len(alone)
    for i, part in enumerate(parts):
        torch.testing.assert_close(part["id"], alone[i]["id"], atol=0, rtol=0)
        torch.testing.assert_close(part["image"][:, 0], part["id"].float(), atol=0, rtol=0)
    assert torch.cat([part["id"] for part in parts]).tolist() == list(range(n))
    loads = [len(blocks) for blocks in ranks]
    assert max(loads) - min(loads) <= 1
