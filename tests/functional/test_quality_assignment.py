"""The assignment problem against every assignment, and against scipy."""

import itertools

import pytest
import torch

from ood_lightning.functional.quality import best_assignment


@pytest.mark.parametrize(("rows", "columns", "seed"), [(1, 1, 0), (4, 4, 1), (5, 7, 2), (6, 6, 3), (3, 8, 4)])
def test_the_assignment_is_the_cheapest_of_all(rows: int, columns: int, seed: int):
    costs = torch.randint(-9, 10, (rows, columns), generator=torch.Generator().manual_seed(seed))
    chosen = best_assignment(costs)
    assert len(set(chosen.tolist())) == rows

    orders = itertools.permutations(range(columns), rows)
    cheapest = min(sum(int(costs[i, j]) for i, j in enumerate(order)) for order in orders)
    assert int(costs.gather(1, chosen[:, None]).sum()) == cheapest


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-1000, 1000)])
def test_the_assignment_costs_what_scipys_does(low: int, high: int):
    optimize = pytest.importorskip("scipy.optimize")
    costs = torch.randint(low, high, (60, 150), generator=torch.Generator().manual_seed(high))
    rows, columns = optimize.linear_sum_assignment(costs.numpy())
    assert int(costs.gather(1, best_assignment(costs)[:, None]).sum()) == int(costs[rows, columns].sum())


def test_the_assignment_of_integers_is_exact_where_float64_is_not():
    costs = torch.tensor([[2**53, 2**53 + 1], [2**53, 2**53 + 2]])
    assert best_assignment(costs).tolist() == [1, 0]


def test_what_is_no_table_of_costs_is_refused():
    with pytest.raises(ValueError, match="no more rows than columns"):
        best_assignment(torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="expected integers"):
        best_assignment(torch.zeros(2, 2))
