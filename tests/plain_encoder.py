"""An encoder without a model: it starts in a moment, and says on disk when it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.encoders.base import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from PIL import Image
    from torch import Tensor


@dataclass
class PlainEncoder(Encoder):
    """The means of a picture's rows and columns are its feature.

    Args:
        began: file to touch when the first batch comes.
        pause_s: how long each batch takes.
    """

    began: str
    pause_s: float = 0.0

    name = "plain"  # type: ignore[assignment]
    fingerprint = "plain0123456789a"  # type: ignore[assignment]
    logit_scale = 1.0  # type: ignore[assignment]

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:
        from torchvision.transforms.functional import pil_to_tensor

        return pil_to_tensor

    def load(self, device: torch.device) -> None:
        pass

    def encode_image(self, image: Tensor) -> Tensor:
        import torch

        Path(self.began).touch()
        time.sleep(self.pause_s)
        pixels = image.float()
        return torch.nn.functional.normalize(torch.cat([pixels.mean((1, 2)), pixels.mean((1, 3))], 1), dim=1)

    def encode_text(self, texts: Sequence[str], tick: Callable[[int], object] = lambda n: None) -> Tensor:
        raise NotImplementedError
