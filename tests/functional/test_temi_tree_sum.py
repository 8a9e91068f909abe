"""Tree sums: the same bits whichever aligned part is added beforehand."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.temi import TreeSum


def tree_sum(parts: list[Tensor]) -> Tensor:
    of_all = TreeSum()
    for part in parts:
        of_all.add([part.clone(), 2 * part])
    total, twice = of_all.total()
    assert torch.equal(2 * total, twice)
    return total


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_processes_that_hold_aligned_parts_get_the_same_bits(processes: int):
    parts = list(torch.randn(8, 1000, generator=torch.Generator().manual_seed(0)))
    share = 8 // processes
    by_process = [tree_sum(parts[rank * share : (rank + 1) * share]) for rank in range(processes)]
    assert torch.equal(tree_sum(by_process), tree_sum(parts))
    torch.testing.assert_close(tree_sum(parts), torch.stack(parts).double().sum(dim=0).float())


def test_halves_are_added_in_their_order():
    first, second, third, fourth = (torch.tensor(value) for value in (1e8, 3.0, -1e8, 5.0))
    assert torch.equal(tree_sum([first, second, third, fourth]), (first + second) + (third + fourth))
    assert not torch.equal((first + second) + (third + fourth), ((first + second) + third) + fourth)


@pytest.mark.parametrize("n", [0, 3, 6])
def test_other_numbers_than_powers_of_two_are_refused(n: int):
    of_all = TreeSum()
    for _ in range(n):
        of_all.add([torch.zeros(2)])
    with pytest.raises(ValueError, match=f"{n} parts; expected a power of two"):
        of_all.total()
