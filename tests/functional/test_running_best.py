"""The largest products of a bank that goes by in blocks, against a sort of them all."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.running_best import RunningBest


def gathered(products: Tensor, width: int, block: int) -> tuple[Tensor, Tensor]:
    best = RunningBest(len(products), width, products)
    for start in range(0, products.shape[1], block):
        best.add(products[:, start : start + block], start)
    return best.result()


def orders() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    drawn = torch.randn(5, 301, generator=draw)
    ragged = drawn.clone()
    ragged[0] = ragged[0].sort().values  # one query finds better ones in every block, the others hardly any
    return {
        "drawn": drawn,
        "rising": drawn.sort(dim=1).values,
        "falling": drawn.sort(dim=1, descending=True).values,
        "one rising": ragged,
        "ties": torch.randint(3, (5, 301), generator=draw).float(),
        "equal": torch.ones(5, 301),
    }


@pytest.mark.parametrize("order", orders())
@pytest.mark.parametrize(
    ("width", "block"), [(1, 1), (1, 64), (3, 7), (4, 128), (9, 100), (40, 16), (301, 50), (7, 301)]
)
def test_the_largest_are_found_in_any_order_and_block(order: str, width: int, block: int):
    products = orders()[order]
    values, rows = gathered(products, width, block)
    assert torch.equal(values.sort(dim=1, descending=True).values, products.topk(width, dim=1).values)
    assert torch.equal(products.gather(1, rows), values)
    assert all(len(set(row)) == width for row in rows.tolist())
