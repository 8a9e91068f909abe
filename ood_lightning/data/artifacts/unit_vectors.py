"""Features that are stored or scored are unit vectors: which are not."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.errors import FeatureError

TOLERANCE = 0.01  # of a length; rounding to float16 makes 0.0005


class NotUnit(NamedTuple):
    """Rows that are no unit vectors.

    Attributes:
        row: the first of them.
        length: of this one, in words.
        n: how many there are.
    """

    row: int
    length: str
    n: int


def not_unit(features: Tensor) -> NotUnit | None:
    """Rows of (n, D) features that are no unit vectors, NaN included; None where all are."""
    lengths = torch.linalg.vector_norm(features, dim=-1, dtype=torch.float32)  # (n,)
    wrong = (~((lengths - 1).abs() < TOLERANCE)).nonzero()[:, 0].tolist()
    if not wrong:
        return None

    length = float(lengths[wrong[0]])
    if not math.isfinite(length):
        return NotUnit(wrong[0], "not finite", len(wrong))
    return NotUnit(wrong[0], f"of length {length:.3g}" if length else "zero", len(wrong))


def check_directions(columns: Mapping[str, Tensor], where: str) -> None:
    """Refuse columns of an encoder in which a vector without a direction came out as NaN.

    Args:
        columns: by name, (n, ..., D); the first number of each vector is looked at.
        where: they come from.

    Raises:
        FeatureError: naming the first image.
    """
    for rows in columns.values():
        if wrong := rows[..., 0].isnan().nonzero()[:, 0].unique().tolist():
            raise FeatureError(
                f"{where}: the features are no unit vectors (row {wrong[0]} of {len(rows)} is zero, or holds NaN or "
                f"infinity; {len(wrong)} are bad). Use precision fp32."
            )
