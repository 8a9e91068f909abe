"""The order in which a mixed stream of ID and OOD images comes."""

import torch
from torch import Tensor

from ood_lightning.errors import SettingsError


def interleave(n_id: int, n_ood: int, *, seed: int, order: int, id_per_ood: float | None = None) -> Tensor:
    """Rows of a mixed stream, uniformly at random; the same on every machine, rank and device.

    A CPU generator, made here, is seeded with ``seed``, and the result is its ``order``-th draw: orders of one seed are
    independent, and torch's global generator is neither read nor moved.

    Args:
        n_id: ID images, at least 1.
        n_ood: OOD images, at least 1.
        seed: of the generator.
        order: 0-based draw.
        id_per_ood: ID images per OOD image; random images of the side that has too many are left out. None: all
            images of both sides.

    Returns:
        int64, shape (n,); a row below ``n_id`` is that ID image, row ``n_id + i`` is OOD image i. No row comes twice.

    Raises:
        SettingsError: if a side would be empty, or a number is out of its range.

    Example:
        >>> interleave(2, 3, seed=0, order=0).sort().values
        tensor([0, 1, 2, 3, 4])
    """
    if n_id < 1 or n_ood < 1 or order < 0:
        raise SettingsError(f"order {order} of {n_id} ID and {n_ood} OOD images: expected at least one of each")

    kept_id, kept_ood = n_id, n_ood
    if id_per_ood is not None:
        if not 0 < id_per_ood < torch.inf:
            raise SettingsError(f"id_per_ood is {id_per_ood}, expected ID images per OOD image, above 0")
        kept_ood = min(n_ood, int(n_id / id_per_ood + 1e-9))  # 7 / 0.28 is 24.999... in floats
        kept_id = min(n_id, round(id_per_ood * kept_ood))
        if not kept_id or not kept_ood:
            raise SettingsError(
                f"{n_id} ID and {n_ood} OOD images cannot be mixed with id_per_ood {id_per_ood}: one side would be "
                f"empty. Give more images, or another ratio (None: all of both)."
            )

    generator = torch.Generator().manual_seed(seed)
    for _ in range(order + 1):  # the earlier orders are drawn too, so that the generator stands where it should
        id_rows = torch.randperm(n_id, generator=generator)[:kept_id]
        ood_rows = torch.randperm(n_ood, generator=generator)[:kept_ood] + n_id
        chosen = torch.cat([id_rows, ood_rows])
        shuffled = chosen[torch.randperm(len(chosen), generator=generator)]
    return shuffled
