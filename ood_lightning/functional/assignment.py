"""The assignment problem: each row its own column, at the lowest total cost."""

import torch
from torch import Tensor


def best_assignment(costs: Tensor) -> Tensor:
    """The column of each row, no column twice, with the lowest sum of costs.

    Rows enter one by one. A new row may take a column from an earlier row, which then takes another column, and so on
    until a free column is reached; the cheapest such chain is found as a shortest path. Paths are measured in reduced
    costs, ``cost - price of the row - price of the column``, which the prices keep at 0 or above (successive shortest
    paths with potentials). Integers throughout, so the optimum is exact. A 1,000 x 4,000 table of counts takes one to
    three seconds on a CPU.

    Args:
        costs: integers of any sign, shape ``(R, S)`` with ``R <= S``.

    Returns:
        Columns, int64, shape ``(R,)``.

    Raises:
        ValueError: if the costs are no integers, or there are more rows than columns.

    Source: Kuhn, Naval Research Logistics 2, 1955; Jonker and Volgenant, Computing 38, 1987.

    Example:
        >>> best_assignment(torch.tensor([[1, 2, 9], [1, 9, 9]]))
        tensor([1, 0])
    """
    if costs.ndim != 2 or costs.is_floating_point() or costs.shape[0] > costs.shape[1]:
        raise ValueError(f"costs {tuple(costs.shape)} of {costs.dtype}: expected integers, no more rows than columns")

    costs = costs.long().cpu()
    n_rows, n_columns = costs.shape
    row_price = torch.zeros(n_rows, dtype=torch.int64)
    column_price = torch.zeros(n_columns, dtype=torch.int64)
    row_of_column = [-1] * n_columns  # -1: the column is free
    column_of_row = [-1] * n_rows
    infinity = torch.iinfo(torch.int64).max

    for new_row in range(n_rows):
        reach = torch.full((n_columns,), infinity)  # length of the shortest chain to each column that is not done
        came_from = torch.full((n_columns,), new_row)  # the row before each column in that chain
        done = torch.zeros(n_columns, dtype=torch.bool)
        visited: list[tuple[int, int, int]] = []  # column, its row, length of the chain to it

        # The shortest chain from the new row to a free column, by Dijkstra's algorithm.
        row, length = new_row, 0
        while True:
            step = length + costs[row] - row_price[row] - column_price  # (S,)
            better = (step < reach) & ~done
            reach = torch.where(better, step, reach)
            came_from[better] = row

            column = int(reach.masked_fill(done, infinity).argmin())
            length = int(reach[column])
            if row_of_column[column] < 0:
                break
            done[column] = True
            row = row_of_column[column]
            visited.append((column, row, length))

        # New prices: reduced costs stay at 0 or above, and are 0 along the chain.
        row_price[new_row] += length
        for visited_column, visited_row, its_length in visited:
            row_price[visited_row] += length - its_length
            column_price[visited_column] -= length - its_length

        # From the free column back to the new row: each row gives its old column to the row before it.
        while True:
            row = int(came_from[column])
            row_of_column[column] = row
            column_of_row[row], column = column, column_of_row[row]
            if row == new_row:
                break

    return torch.tensor(column_of_row)
