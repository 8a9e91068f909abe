"""Rounding to float16 against NumPy's, which takes float64 at once, and proxies against a loop over numbers."""

import numpy as np
import pytest
import torch
from random_features import random_unit

from ood_lightning.functional.half import half, half_proxy_logits

ABOVE_A_TIE = 1 + 2.0**-11 + 2.0**-40  # by less than float32 holds: rounded twice, the lower neighbour would come out


def rounded(value: object) -> np.ndarray:
    """To float16, held in float64."""
    return np.asarray(value, dtype=np.float64).astype(np.float16).astype(np.float64)


def test_it_rounds_float64_once():
    draw = torch.Generator().manual_seed(0)
    sizes = torch.logspace(-9, 4, 200_000, dtype=torch.float64)
    spread = torch.randn(200_000, generator=draw, dtype=torch.float64) * sizes
    edges = torch.tensor([ABOVE_A_TIE, -ABOVE_A_TIE, 1 + 3 * 2.0**-11 - 2.0**-40, 0.0, 1e-300], dtype=torch.float64)
    values = torch.cat([spread, edges])

    assert torch.equal(half(values), torch.from_numpy(rounded(values.numpy())))
    assert float(half(edges)[0]) == 1 + 2.0**-10 != float(edges[0].half())


@pytest.mark.parametrize("beta", [None, 5.0])
def test_proxies_equal_a_loop_that_rounds_every_step(beta: float | None):
    images, members = random_unit(3, 8, seed=1), torch.stack([random_unit(4, 8, seed=s) for s in (2, 3, 4, 5, 6)])
    members[:, 3] = 0  # an empty slot

    expected = np.zeros((3, 5))
    for i, image in enumerate(rounded(images.numpy())):
        for j, rows in enumerate(rounded(members.numpy())):
            if beta is None:
                proxy = rounded(rows.mean(axis=0))
            else:
                weights = rounded(np.exp(rounded(-beta * rounded(1 - rounded(rows @ image)))))
                proxy = rounded(rounded(weights[:, None] * rows).sum(axis=0))
            proxy = rounded(proxy / rounded(np.sqrt((proxy**2).sum())))
            expected[i, j] = rounded(100 * rounded(rounded(image * proxy).sum()))

    assert torch.equal(half_proxy_logits(images, members, 100.0, beta), torch.from_numpy(expected))
