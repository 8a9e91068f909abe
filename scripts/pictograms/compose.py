"""Put drawings on backgrounds: mild pose jitter, a random background, 64 x 64 pixels.

This is how the benchmark's pictures are made; `augment.py` distorts further, for training only.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

SIZE = 64
LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
TOO_ALIKE = 0.2  # difference of brightness below which a drawing would drown in its background


def uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    """One number per picture, shape ``(n, 1, 1, 1)``."""
    return torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low


def happens(n: int, chance: float, generator: Generator) -> Tensor:
    """One truth value per picture, shape ``(n, 1, 1, 1)``, true with the given chance."""
    return torch.rand(n, 1, 1, 1, generator=generator) < chance


def premultiplied(drawings: Tensor) -> Tensor:
    """uint8 ``(B, H, W, 4)`` with straight alpha to float ``(B, 4, H, W)`` whose colours are times alpha."""
    pictures = drawings.permute(0, 3, 1, 2).float() / 255
    return torch.cat([pictures[:, :3] * pictures[:, 3:], pictures[:, 3:]], 1)


def move(
    pictures: Tensor,
    size: int,
    generator: Generator,
    *,
    degrees: float,
    scale: tuple[float, float],
    stretch: float,
    shear: float,
    shift: float,
    mirror: Tensor | None = None,
) -> Tensor:
    """Turn, scale, stretch, shear and shift each picture at random.

    Args:
        pictures: ``(B, C, H, W)``.
        size: of the square result.
        generator: of every choice.
        degrees: turned by at most that.
        scale: smallest and largest; 1 fills the square.
        stretch: logarithm of the largest ratio between width and height.
        shear: largest shear.
        shift: largest shift, as a share of the side.
        mirror: which pictures may be mirrored (half of those are), shape ``(B,)``; none where None.
    """
    n = len(pictures)

    def draw(low: float, high: float) -> Tensor:
        return uniform(n, low, high, generator).view(n)

    angle = draw(-degrees, degrees) * math.pi / 180
    zoom = torch.exp(draw(math.log(scale[0]), math.log(scale[1])))
    ratio = torch.exp(draw(-stretch, stretch))
    slant = draw(-shear, shear)
    x_scale, y_scale = zoom * ratio, zoom / ratio
    side = torch.ones(n)
    if mirror is not None:
        side[mirror & (draw(0, 1) < 0.5)] = -1
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = angle.cos() / x_scale * side
    matrix[:, 0, 1] = (angle.sin() + slant) / x_scale * side
    matrix[:, 1, 0] = -angle.sin() / y_scale
    matrix[:, 1, 1] = angle.cos() / y_scale
    matrix[:, 0, 2] = 2 * draw(-shift, shift)
    matrix[:, 1, 2] = 2 * draw(-shift, shift)
    grid = F.affine_grid(matrix, [n, pictures.shape[1], size, size], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def backgrounds(n: int, size: int, generator: Generator) -> Tensor:
    """Solid (30 %), gradient (25 %), soft noise (20 %) or near white (25 %), shape ``(n, 3, size, size)``."""
    kind = torch.rand(n, 1, 1, 1, generator=generator)
    one = torch.rand(n, 3, 1, 1, generator=generator)
    other = torch.rand(n, 3, 1, 1, generator=generator)
    angle = uniform(n, 0, 2 * math.pi, generator)

    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    ramp = x * angle.cos() + y * angle.sin()
    low, high = ramp.amin((2, 3), keepdim=True), ramp.amax((2, 3), keepdim=True)
    ramp = (ramp - low) / (high - low + 1e-6)

    coarse = torch.rand(n, 3, 5, 5, generator=generator)
    noise = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False) - 0.5
    noise = noise * uniform(n, 0, 1.2, generator) + one

    white = uniform(n, 0.9, 1.0, generator).expand(n, 3, size, size)
    flat = one.expand(n, 3, size, size)
    gradient = one * (1 - ramp) + other * ramp
    coloured = torch.where(kind < 0.3, flat, torch.where(kind < 0.55, gradient, noise))
    return torch.where(kind < 0.75, coloured, white).clamp(0, 1)


def readable(background: Tensor, colours: Tensor, alpha: Tensor) -> Tensor:
    """The background, its colours inverted where it is about as bright as the drawing.

    Args:
        background: ``(B, 3, S, S)``.
        colours: premultiplied, ``(B, 3, S, S)``.
        alpha: ``(B, 1, S, S)``.
    """
    drawing = (colours * LUMA).sum((1, 2, 3)) / alpha.sum((1, 2, 3)).clamp_min(1e-3)
    behind = (background * LUMA).sum(1).mean((1, 2))
    alike = (drawing - behind).abs() < TOO_ALIKE
    return torch.where(alike[:, None, None, None], 1 - background, background)


def compose(drawings: Tensor, seed: int, size: int = SIZE) -> Tensor:
    """The benchmark's pictures of some drawings: float ``(B, 3, size, size)`` in [0, 1], set by the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    pictures = move(
        premultiplied(drawings), size, generator, degrees=8, scale=(0.75, 1.0), stretch=0.05, shear=0.03, shift=0.05
    )
    colours, alpha = pictures[:, :3], pictures[:, 3:]
    behind = readable(backgrounds(len(pictures), size, generator), colours, alpha)
    return (colours + behind * (1 - alpha)).clamp(0, 1)


def normalised(pictures: Tensor) -> Tensor:
    """What the image tower sees: [0, 1] to [-1, 1], mean and deviation 0.5."""
    return pictures * 2 - 1
