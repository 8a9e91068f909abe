"""What TANL begins with and cuts by: images of noise that stand for OOD images, and Otsu's threshold of scores."""

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

    return torch.cat(
        [
            _to_unit_range(torch.randn(size, generator=draw)),
            uniform(),
            _to_unit_range(torch.poisson(torch.full(size, 5.0), generator=draw)),
            _to_unit_range(-(1 - uniform()).log() - (1 - uniform()).log()),  # Gamma: two exponential waiting times
            (uniform() >= 0.5).float(),
        ]
    )


def otsu_threshold(scores: Tensor, steps: int = 100) -> float:
    """Otsu's cut t among ``0, 1/steps, ..., 1 - 1/steps``: the one with the smallest variance inside the two parts.

    ``sum_{s <= t} (s - mean)^2 + sum_{s > t} (s - mean)^2``, each part with its own mean, is what is made smallest.

    Args:
        scores: in [0, 1], shape (n,), at least one.
        steps: number of candidates.

    Returns:
        A threshold: scores above it are one part, the rest is the other. Where several candidates give the same parts,
        the middle one of them.

    Source: Otsu, IEEE Trans. SMC 1979; the grid and the tie as in TANL's code.
    Differs: a score that equals a candidate is in the lower part, in TANL's code in the upper one.

    Example:
        >>> otsu_threshold(torch.tensor([0.1, 0.1, 0.7]))
        0.4
    """
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"{len(scores)} scores, expected at least one and all in [0, 1]")

    ranked = scores.double().sort().values
    candidates = torch.arange(steps, dtype=torch.float64, device=scores.device) / steps
    below = torch.searchsorted(ranked, candidates, side="right")  # scores in the lower part, of each candidate
    above = len(ranked) - below

    # A part's sum of squares about its mean is its sum of squares minus (its sum)^2 / (its size).
    centred = ranked - ranked.mean()  # so that these differences cancel fewer digits
    sums = torch.cat([centred.new_zeros(1), centred.cumsum(dim=0)])  # of the 0, 1, 2, ... lowest scores
    sum_of_squares = torch.cat([centred.new_zeros(1), centred.square().cumsum(dim=0)])[-1]
    of_lower = sums[below].square() / below.clamp(min=1)
    within = sum_of_squares - of_lower - (sums[-1] - sums[below]).square() / above.clamp(min=1)

    best = (within == within.min()).nonzero()[:, 0]  # equal parts have bit-equal sums
    return float(candidates[best[len(best) // 2]])


def _to_unit_range(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min()).clamp_min(1e-12)
