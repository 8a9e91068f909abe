"""TEMI's networks: H independent clustering heads, batched as tensors.

Source: Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896, and its code: Linear(D, 512), GELU,
Linear(512, 256), unit norm, weight-normalised Linear(256, C) without bias. Logits are therefore scaled cosines.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INIT_STD = 0.02


class TEMIHeads(nn.Module):
    """H heads on the same features; the first dimension of every parameter is H.

    Args:
        n_heads: H.
        dim: D, width of the features.
        n_clusters: C.
        hidden: width of the hidden layer.
        bottleneck: width of the unit-norm layer before the last one.
        seed: of the initial weights, which do not depend on torch's global generator.
    """

    def __init__(
        self, n_heads: int, dim: int, n_clusters: int, hidden: int = 512, bottleneck: int = 256, seed: int = 0
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        self.weight1 = nn.Parameter(_truncated_normal(draw, n_heads, dim, hidden))
        self.bias1 = nn.Parameter(torch.zeros(n_heads, 1, hidden))
        self.weight2 = nn.Parameter(_truncated_normal(draw, n_heads, hidden, bottleneck))
        self.bias2 = nn.Parameter(torch.zeros(n_heads, 1, bottleneck))

        bound = bottleneck**-0.5  # what nn.Linear would draw from; only the direction matters, the gain starts at 1
        self.last_direction = nn.Parameter(
            torch.empty(n_heads, n_clusters, bottleneck).uniform_(-bound, bound, generator=draw)
        )
        self.last_gain = nn.Parameter(torch.ones(n_heads, n_clusters, 1))

    def forward(self, features: Tensor, head: int | None = None) -> Tensor:
        """Logits, shape (H, B, C), of features of shape (B, D); of one head, shape (1, B, C), if `head` is given."""
        pick = slice(None) if head is None else slice(head, head + 1)
        batch = features.expand(len(self.weight1[pick]), -1, -1)  # (H, B, D), no copy

        hidden = F.gelu(torch.baddbmm(self.bias1[pick], batch, self.weight1[pick]))  # (H, B, hidden)
        codes = F.normalize(torch.baddbmm(self.bias2[pick], hidden, self.weight2[pick]), dim=-1)  # (H, B, bottleneck)
        last = self.last_gain[pick] * F.normalize(self.last_direction[pick], dim=-1)  # (H, C, bottleneck)
        return codes @ last.transpose(1, 2)

    def last_layer(self) -> list[nn.Parameter]:
        """Parameters that are not trained during the first epoch."""
        return [self.last_direction, self.last_gain]


def _truncated_normal(draw: torch.Generator, *shape: int) -> Tensor:
    """Normal with standard deviation 0.02, cut at two units (a hundred deviations: never in effect)."""
    return nn.init.trunc_normal_(torch.empty(shape), std=INIT_STD, generator=draw)
