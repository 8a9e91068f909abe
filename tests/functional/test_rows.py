"""Rows in several tensors are those of one."""

import pytest
import torch

from ood_lightning.functional.rows import JoinedRows, joined

PARTS = [torch.arange(6).view(3, 2), torch.empty(0, 2).long(), torch.arange(6, 16).view(5, 2), torch.tensor([[16, 17]])]
WHOLE = torch.cat(PARTS)


def test_slices_rows_and_blocks_equal_those_of_one_tensor():
    rows = JoinedRows(PARTS)
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (9, WHOLE.shape, 2, torch.int64)
    for start in range(10):
        for stop in range(10):
            assert torch.equal(rows[start:stop], WHOLE[start:stop])
    assert torch.equal(rows[-4:], WHOLE[-4:])

    drawn = torch.randint(9, (4, 7), generator=torch.Generator().manual_seed(0))
    assert torch.equal(rows[drawn], WHOLE[drawn])
    assert rows[drawn[:0]].shape == (0, 7, 2)
    for size in (1, 2, 4, 9, 20):
        assert [block.tolist() for block in rows.split(size)] == [block.tolist() for block in WHOLE.split(size)]
    assert torch.equal(rows.to("cpu"), WHOLE)


def test_a_block_within_one_part_is_no_copy():
    assert JoinedRows(PARTS)[3:6].data_ptr() == PARTS[2].data_ptr()
    assert joined(PARTS[:1]) is PARTS[0]


def test_parts_that_do_not_go_together_and_rows_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="2 parts of 2 kinds"):
        JoinedRows([torch.ones(1, 2), torch.ones(1, 3)])
    with pytest.raises(ValueError, match="0 parts"):
        JoinedRows([])
    for wrong in (9, -1):
        with pytest.raises(IndexError, match="of 9"):
            JoinedRows(PARTS)[torch.tensor([0, wrong])]
    with pytest.raises(IndexError, match="a step of 2"):
        JoinedRows(PARTS)[::2]
