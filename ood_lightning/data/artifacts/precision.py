"""How far the stored features of a set are from those of float32 towers, measured on some of its pictures."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, decode_json
from ood_lightning.errors import FeatureError

FILE = "precision.json"


@dataclass(frozen=True)
class FromFP32:
    """Stored features compared with those of the same towers in float32, not rounded.

    Args:
        precision: of the towers.
        feature_dtype: that features are rounded to.
        device: where both were computed.
        pictures: how many were compared, the first ones of the set's largest shard.
        largest_difference: between any two numbers of their unit vectors.
        smallest_cosine: between a picture's two vectors.
        largest_rounding: difference that rounding to `feature_dtype` makes alone.
    """

    __pydantic_config__: ClassVar = STRICT

    precision: str
    feature_dtype: str
    device: str
    pictures: Count
    largest_difference: float
    smallest_cosine: float
    largest_rounding: float

    @classmethod
    def of(cls, computed: Tensor, exact: Tensor, stored_as: torch.dtype, precision: str, device: str) -> Self:
        """Compare unit vectors (n, D) of towers in `precision`, not rounded yet, with those of float32."""
        stored = computed.to(stored_as).double()
        computed, exact = computed.double(), exact.double()

        return cls(
            precision=precision,
            feature_dtype=str(stored_as).removeprefix("torch."),
            device=device,
            pictures=len(exact),
            largest_difference=float((stored - exact).abs().max()),
            smallest_cosine=float(cosine_similarity(stored, exact).min()),
            largest_rounding=float((stored - computed).abs().max()),
        )

    def write(self, folder: Path) -> None:
        """Keep it beside a set's features."""
        write_json(folder / FILE, asdict(self), indent=2)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What was measured for a set's features; None where nothing was, as for towers in float32.

        Raises:
            FeatureError: if the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        return decode_json(
            path.read_bytes(), cls, str(path), lambda text: FeatureError(f"{text}. The file is damaged: remove it")
        )

    def __str__(self) -> str:
        return (
            f"{self.precision} towers, stored in {self.feature_dtype}: at most {self.largest_difference:.1e} from "
            f"fp32, cosine at least {self.smallest_cosine:.6f} ({self.pictures} pictures, {self.device}; rounding to "
            f"{self.feature_dtype} alone: {self.largest_rounding:.1e})"
        )
