"""Distort drawings so that the image tower learns shapes rather than one vendor's hand: pose, colour, line art.

Training only. Every distortion grows with ``strength``, which training raises from mild to full.
"""

from __future__ import annotations

import math

import torch
from compose import LUMA, backgrounds, happens, move, premultiplied, readable, uniform
from torch import Generator, Tensor
from torch.nn import functional as F


def recolour(colours: Tensor, strength: float, generator: Generator) -> Tensor:
    """Turn the hue (fully for some, slightly for all), change saturation, contrast and brightness; some go grey."""
    n = len(colours)
    turn = torch.where(happens(n, 0.3 * strength, generator), 1.0, 0.1) * uniform(n, -math.pi, math.pi, generator)
    saturation = uniform(n, 0.5, 1.5, generator)
    saturation[happens(n, 0.15 * strength, generator)] = 0
    cos, sin = turn.cos().view(n, 1, 1), turn.sin().view(n, 1, 1)
    third, root = 1 / 3, math.sqrt(1 / 3)
    across = torch.tensor([[0, -root, root], [root, 0, -root], [-root, root, 0]])
    rotation = cos * torch.eye(3) + (1 - cos) * third + sin * across  # about the grey axis
    amount = saturation.view(n, 1, 1)
    matrix = amount * rotation + (1 - amount) * LUMA.view(1, 1, 3).expand(n, 3, 3)
    turned = torch.einsum("bij,bjhw->bihw", matrix, colours)
    return (turned - 0.5) * uniform(n, 0.7, 1.3, generator) + 0.5 + uniform(n, -0.2, 0.2, generator)


def steps_between(channel: Tensor) -> Tensor:
    """Absolute differences of neighbours in both directions, shape kept."""
    across = (channel[..., :, 2:] - channel[..., :, :-2]).abs()
    down = (channel[..., 2:, :] - channel[..., :-2, :]).abs()
    return F.pad(across, (1, 1, 0, 0)) + F.pad(down, (0, 0, 1, 1))


def strokes(premultiplied_colours: Tensor, alpha: Tensor, generator: Generator) -> Tensor:
    """Where a pen would draw: outlines and strong inner edges, thick for half of the pictures."""
    n = len(alpha)
    brightness = (premultiplied_colours * LUMA).sum(1, keepdim=True) + 1 - alpha
    inner = steps_between(brightness) * uniform(n, 0.8, 2.5, generator)
    edges = torch.maximum(steps_between(alpha) * 1.2, inner).clamp(0, 1)
    return torch.where(happens(n, 0.5, generator), F.max_pool2d(edges, 3, 1, 1), edges)


def as_line_art(
    premultiplied_colours: Tensor, colours: Tensor, alpha: Tensor, strength: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Turn some pictures into line drawings (15 %), outlined ones (12 %) or silhouettes (3 %).

    Returns:
        The colours and the alpha of all pictures, changed or not.
    """
    n = len(colours)
    edges = strokes(premultiplied_colours, alpha, generator)
    kind = torch.rand(n, 1, 1, 1, generator=generator)
    line, outlined = kind < 0.15 * strength, (kind >= 0.15 * strength) & (kind < 0.27 * strength)
    paper = torch.where(happens(n, 0.6, generator), torch.ones(n, 3, 1, 1), colours.mean((2, 3), keepdim=True))
    ink = torch.where(happens(n, 0.85, generator), 0.05, 1.0)
    drawn = torch.where(line, paper * (1 - edges) + ink * edges, colours)
    drawn = torch.where(outlined, colours * (1 - edges) + 0.05 * edges, drawn)
    only_strokes = line & happens(n, 0.4, generator)
    covered = torch.where(line | outlined, torch.maximum(alpha, edges), alpha)
    covered = torch.where(only_strokes, edges, covered)
    drawn = torch.where(happens(n, 0.03 * strength, generator), ink.expand_as(drawn), drawn)
    return drawn.clamp(0, 1), covered


def spoil(pictures: Tensor, strength: float, generator: Generator) -> Tensor:
    """Invert a few, blur some batches, add noise to some, cut a patch out of some."""
    n, size = len(pictures), pictures.shape[-1]
    pictures = torch.where(happens(n, 0.04 * strength, generator), 1 - pictures, pictures)
    if torch.rand(1, generator=generator) < 0.15 * strength:
        pictures = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    noisy = happens(n, 0.2 * strength, generator)
    noise = torch.randn(pictures.shape, generator=generator) * uniform(n, 0, 0.12, generator)
    pictures = torch.where(noisy, pictures + noise, pictures)
    half = uniform(n, 0.075, 0.175, generator) * size
    positions = torch.arange(size)
    near_x = (positions.view(1, 1, 1, -1) - uniform(n, 0, size, generator)).abs() < half
    near_y = (positions.view(1, 1, -1, 1) - uniform(n, 0, size, generator)).abs() < half
    patch = near_x & near_y & happens(n, 0.25 * strength, generator)
    return torch.where(patch, torch.rand(n, 3, 1, 1, generator=generator), pictures).clamp(0, 1)


def augment(drawings: Tensor, size: int, mirror: Tensor, strength: float, generator: Generator) -> Tensor:
    """Pictures to train on.

    Args:
        drawings: uint8 with straight alpha, ``(B, H, W, 4)``.
        size: of the square result.
        mirror: which drawings mean the same in a mirror, ``(B,)``.
        strength: 0 is hardly distorted, 1 is full.
        generator: of every choice.

    Returns:
        Float ``(B, 3, size, size)`` in [0, 1].
    """
    pictures = move(
        premultiplied(drawings),
        size,
        generator,
        degrees=8 + 17 * strength,
        scale=(0.8 - 0.2 * strength, 1.05 + 0.1 * strength),
        stretch=0.15 * strength,
        shear=0.15 * strength,
        shift=0.04 + 0.08 * strength,
        mirror=mirror,
    )

    premultiplied_colours, alpha = pictures[:, :3], pictures[:, 3:]
    colours = recolour(premultiplied_colours / alpha.clamp_min(1e-3), strength, generator)
    colours, alpha = as_line_art(premultiplied_colours, colours, alpha, strength, generator)

    behind = readable(backgrounds(len(pictures), size, generator), colours * alpha, alpha)
    return spoil(colours * alpha + behind * (1 - alpha), strength, generator)
