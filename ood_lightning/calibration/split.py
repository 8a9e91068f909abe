"""Which images are held out for calibration, before anything is learned."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from ood_lightning.errors import CalibrationError
from ood_lightning.functional.conformal import needed
from ood_lightning.functional.ranked import n_kept
from ood_lightning.ranges import Range, in_range


class Split(NamedTuple):
    """Rows of images, each int64 and ascending; every image is in one of the three.

    Attributes:
        mining: may be learned from.
        calibration: one image of each group that is held out.
        unused: the others of those groups; they would count a group twice, or betray it.
    """

    mining: Tensor
    calibration: Tensor
    unused: Tensor


@in_range
def split(
    groups: Tensor, seed: int, tpr: float = 0.95, fraction: Annotated[float, Range(0, 0.5, without_low=True)] = 0.2
) -> Split:
    """Hold whole groups of near-duplicates out for calibration.

    The groups, and the one image of each that counts, are drawn at random: the same seed draws the same on every
    machine. All groups are as likely, however large.

    Args:
        groups: number of the group of near-duplicates that an image belongs to, any integers, shape (n,).
        seed: of the draw.
        tpr: wanted true-positive rate.
        fraction: of the groups to hold out, at most a half.

    Returns:
        :func:`n_held_out` groups in `calibration` and `unused`, the others in `mining`.

    Raises:
        CalibrationError: groups are no integers.
        SettingsError: the fraction is out of its range.
    """
    group = _numbered(groups)
    draw = torch.Generator().manual_seed(seed)
    n_groups = int(group.max()) + 1 if len(group) else 0

    held_out = torch.zeros(n_groups, dtype=torch.bool)
    held_out[torch.randperm(n_groups, generator=draw)[: n_held_out(n_groups, tpr, fraction)]] = True
    counts = torch.zeros(len(group), dtype=torch.bool)
    counts[_one_of_each(group, draw)] = True

    of_held_out = held_out[group]  # (n,)
    parts = (~of_held_out, of_held_out & counts, of_held_out & ~counts)
    return Split(*(part.nonzero()[:, 0] for part in parts))


def n_held_out(n_groups: int, tpr: float = 0.95, fraction: float = 0.2) -> int:
    """How many groups are held out: that fraction of them, and no fewer than `tpr` needs, up to a half.

    As many as are needed to promise `tpr` with 95 % confidence (59 for 0.95) are held out where at least as many are
    left to learn from; of fewer groups, a half is.

    Example:
        >>> n_held_out(1000), n_held_out(200), n_held_out(118), n_held_out(30), n_held_out(1)
        (200, 59, 59, 15, 0)
    """
    return min(max(n_kept(fraction, n_groups), needed(tpr) or 0), n_groups // 2)


def one_of_each(groups: Tensor, seed: int) -> Tensor:
    """Row of one image of each group, drawn at random by the seed; int64, ascending, on the CPU.

    Args:
        groups: any integers, shape (n,).
        seed: of the draw.

    Raises:
        CalibrationError: groups are no integers.
    """
    return _one_of_each(_numbered(groups), torch.Generator().manual_seed(seed)).sort().values


def _one_of_each(group: Tensor, draw: torch.Generator) -> Tensor:
    """The image of each group that comes first in a random order; by group."""
    order = torch.randperm(len(group), generator=draw)
    position = torch.empty_like(order)
    position[order] = torch.arange(len(order))

    n_groups = int(group.max()) + 1 if len(group) else 0
    first = torch.full((n_groups,), len(order)).scatter_reduce(0, group, position, "amin")
    return order[first]


def _numbered(groups: Tensor) -> Tensor:
    """Groups as 0, 1, ... in the order of their numbers, on the CPU."""
    if groups.ndim != 1 or groups.is_floating_point() or groups.dtype == torch.bool:
        raise CalibrationError(
            f"groups are {groups.dtype} of shape {tuple(groups.shape)}: expected one integer for each image"
        )
    _, group = groups.cpu().unique(return_inverse=True)
    return torch.as_tensor(group)
