"""Calibration: scores of held-out ID images, and the threshold and p-values that they give."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """Scores of held-out ID images, one for each group of near-duplicates.

    Args:
        scores: ascending.
        n_images: held-out images.
        source: where they came from, in words.
        tpr: share of ID images that is to be accepted.
        remarks: what is to be said of it.
    """

    __pydantic_config__: ClassVar = STRICT

    scores: tuple[float, ...]
    n_images: int
    source: str
    tpr: float = 0.95
    remarks: tuple[str, ...] = ()

    @property
    def threshold(self) -> float:
        """Images with a score above it are accepted; -inf where there are too few scores for it."""
        n = len(self.scores)
        rejected = [score for k, score in enumerate(self.scores, 1) if (k + 1) / (n + 1) <= 1 - self.tpr]
        lowest = self.scores[0] if 1 / (n + 1) <= 1 - self.tpr < 2 / (n + 1) else float("-inf")
        return max(rejected, default=lowest)

    def p_values(self, scores: Tensor) -> Tensor:
        """(1 + number of calibration scores <= score) / (n + 1), float64, shape (B,)."""
        import torch

        known = torch.tensor(self.scores, dtype=torch.float64)
        below = torch.searchsorted(known, scores.double().cpu(), side="right")
        return (1 + below).double() / (len(known) + 1)

    def accepted(self, scores: Tensor) -> Tensor:
        """Whether the p-value is above 1 - tpr, bool, shape (B,)."""
        return self.p_values(scores) > 1 - self.tpr

    def statements(self) -> list[str]:
        """What is promised, in words."""
        return [f"{self.tpr:.0%} of ID images are accepted on average, by {len(self.scores)} calibration scores"]

    def write(self, path: str | Path) -> None:
        """As JSON."""
        atomic_write(Path(path), (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """From JSON.

        Raises:
            SourceError, SettingsError: there is no such file, or it is no calibration.
        """
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None
        return decode_json(text, cls, str(path), SettingsError)
