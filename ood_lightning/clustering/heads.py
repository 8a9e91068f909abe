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
        chosen = slice(None) if head is None else slice(head, head + 1)
        last = last_weights(self.last_direction[chosen], self.last_gain[chosen])
        return codes(features, *(parameter[chosen] for parameter in self.first_layers())) @ last.mT

    def first_layers(self) -> list[nn.Parameter]:
        """What :func:`codes` takes."""
        return [self.weight1, self.bias1, self.weight2, self.bias2]

    def last_layer(self) -> list[nn.Parameter]:
        """Parameters that are not trained during the first epoch."""
        return [self.last_direction, self.last_gain]


def codes(features: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Unit vectors of h heads, shape (h, B, bottleneck), of features of shape (B, D)."""
    batch = features.expand(len(weight1), -1, -1)  # (h, B, D), no copy
    hidden = F.gelu(torch.baddbmm(bias1, batch, weight1))  # (h, B, hidden)
    return F.normalize(torch.baddbmm(bias2, hidden, weight2), dim=-1)


def last_weights(direction: Tensor, gain: Tensor) -> Tensor:
    """Weight-normalised last layer of h heads, shape (h, C, bottleneck): unit directions times gains (h, C, 1)."""
    return gain * F.normalize(direction, dim=-1)


def last_weights_gradient(direction: Tensor, gain: Tensor, gradient: Tensor) -> Tensor:
    """Gradient by the gains, (h, C, 1); `gradient`, that by the weights, becomes the one by the directions in place."""
    length = direction.norm(dim=-1, keepdim=True)
    unit = direction / length
    by_gain: Tensor = torch.linalg.vecdot(gradient, unit)[..., None]
    gradient.addcmul_(unit, by_gain, value=-1).mul_(gain / length)
    return by_gain


def _truncated_normal(draw: torch.Generator, *shape: int) -> Tensor:
    """Normal with standard deviation 0.02, cut at two units (a hundred deviations: never in effect)."""
    return nn.init.trunc_normal_(torch.empty(shape), std=INIT_STD, generator=draw)
