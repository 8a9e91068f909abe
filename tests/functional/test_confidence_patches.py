"""GL-MCM's local term against a loop."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from ood_lightning.functional.confidence import local_match


def _softmax(row: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(w) for w in row) for v in row]


def test_local_match_equals_a_loop_over_patches():
    draw = torch.Generator().manual_seed(0)
    patches, names = (normalize(torch.randn(*shape, generator=draw), dim=-1) for shape in ((3, 4, 6), (5, 6)))
    expected = [max(max(_softmax([float(p @ n) for n in names.double()])) for p in image) for image in patches.double()]
    torch.testing.assert_close(local_match(patches, names), torch.tensor(expected, dtype=torch.float64))

    more = torch.cat([patches, patches.flip(0)], dim=1)
    assert (local_match(more, names) >= local_match(patches, names)).all()


def test_local_match_refuses_images_without_patches():
    with pytest.raises(ValueError, match="at least 1"):
        local_match(torch.empty(2, 0, 6), torch.randn(3, 6))
