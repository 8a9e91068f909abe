"""Tree sums: the same bits whichever aligned part is added beforehand."""

import pytest
import torch

from ood_lightning.functional.temi import tree_sum


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_processes_that_hold_aligned_parts_get_the_same_bits(processes: int):
    parts = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0)).unbind()
    share = 8 // processes
    by_process = [tree_sum(parts[rank * share : (rank + 1) * share]) for rank in range(processes)]
    assert torch.equal(tree_sum(by_process), tree_sum(parts))
    torch.testing.assert_close(tree_sum(parts), torch.stack(parts).double().sum(dim=0).float())


@pytest.mark.parametrize("n", [0, 3, 6])
def test_other_numbers_than_powers_of_two_are_refused(n: int):
    with pytest.raises(ValueError, match="expected a power of two"):
        tree_sum([torch.zeros(2)] * n)
