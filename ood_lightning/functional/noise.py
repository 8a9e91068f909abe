"""Images of nothing: five kinds of noise, which stand for OOD images before any were seen."""

import torch
from torch import Tensor


def noise_images(shape: tuple[int, ...], per_kind: int, seed: int) -> Tensor:
    """Gaussian, uniform, Poisson, Gamma and salt-and-pepper noise, in this order, every value in [0, 1].

    Gaussian, Poisson (rate 5) and Gamma noise (shape 2) are scaled so that the smallest value of the kind is 0 and its
    largest is 1; a value of salt and pepper is 0 or 1 with equal chance. Drawn on the CPU from a generator made here.

    Args:
        shape: of one image, (3, H, W).
        per_kind: images of each kind.
        seed: of the generator.

    Returns:
        float32, shape (5 * per_kind, 3, H, W).

    Source: the initial OOD queue of TANL, https://arxiv.org/abs/2603.25250.

    Example:
        >>> noise_images((3, 4, 4), 2, seed=0).shape
        torch.Size([10, 3, 4, 4])
    """
    draw = torch.Generator().manual_seed(seed)
    size = (per_kind, *shape)

    def uniform() -> Tensor:
        return torch.rand(size, generator=draw)

    gauss = torch.randn(size, generator=draw)
    flat = uniform()
    poisson = torch.poisson(torch.full(size, 5.0), generator=draw)
    gamma = -(1 - uniform()).log() - (1 - uniform()).log()  # two exponential waiting times
    salt_and_pepper = (uniform() >= 0.5).float()
    return torch.cat([_to_unit_range(gauss), flat, _to_unit_range(poisson), _to_unit_range(gamma), salt_and_pepper])


def _to_unit_range(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min()).clamp_min(1e-12)
