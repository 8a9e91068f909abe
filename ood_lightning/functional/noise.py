"""Pictures of nothing: five kinds of noise."""

import torch
from torch import Tensor


def noise_images(shape: tuple[int, ...], each: int, seed: int) -> Tensor:
    """Gaussian, uniform, Poisson, Gamma and salt-and-pepper noise, in this order, every value in [0, 1].

    Gaussian, Poisson (rate 5) and Gamma noise (shape 2) are stretched from their least to their largest value; salt
    and pepper are alike frequent. Drawn on the CPU from a generator of its own.

    Args:
        shape: of one picture, (3, H, W).
        each: pictures of each kind.
        seed: of the generator.

    Returns:
        float32, shape (5 * each, 3, H, W).

    Source: the initial OOD queue of TANL, https://arxiv.org/abs/2603.25250.

    Example:
        >>> noise_images((3, 4, 4), 2, seed=0).shape
        torch.Size([10, 3, 4, 4])
    """
    draw, size = torch.Generator().manual_seed(seed), (each, *shape)

    def uniform() -> Tensor:
        return torch.rand(size, generator=draw)

    gauss = torch.randn(size, generator=draw)
    flat = uniform()
    poisson = torch.poisson(torch.full(size, 5.0), generator=draw)
    gamma = -(1 - uniform()).log() - (1 - uniform()).log()  # two waiting times
    salted = (uniform() >= 0.5).float()
    return torch.cat([_stretched(gauss), flat, _stretched(poisson), _stretched(gamma), salted])


def _stretched(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min()).clamp_min(1e-12)
