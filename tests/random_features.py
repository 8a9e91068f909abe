"""Random unit vectors, the same for the same seed."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def random_unit(*shape: int, seed: int) -> Tensor:
    """Unit vectors along the last dimension, float32."""
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)
