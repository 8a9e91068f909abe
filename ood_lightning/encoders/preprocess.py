"""Preprocessing of published code bases, for matching their numbers; else the model's own is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ood_lightning.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image
    from torch import Tensor

Preset = Literal["model", "legacy-bilinear224", "openood-256"]
SIZE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
SHORTER_SIDE = {"legacy-bilinear224": (224, "bilinear"), "openood-256": (256, "bicubic")}


def preset(name: str, image_size: Any, encoder: str) -> Callable[[Image.Image], Tensor]:
    """Shorter side to 224 or 256 pixels, the centre 224 x 224, CLIP's mean and deviation.

    Args:
        name: `legacy-bilinear224` (NegLabel, CSP, MCM, GL-MCM) or `openood-256` (OpenOOD, InterNeg, ANTS).
        image_size: that the model takes, a number or (height, width).
        encoder: its name, for errors.

    Raises:
        EncoderError: if the model takes another size.
    """
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    if image_size not in (SIZE, (SIZE, SIZE), [SIZE, SIZE]):
        raise EncoderError(
            f"preprocess {name!r} makes pictures of {SIZE} x {SIZE}, encoder {encoder!r} takes {image_size}: use "
            f"preprocess: model"
        )
    side, interpolation = SHORTER_SIDE[name]
    resize = Resize(side, interpolation=InterpolationMode(interpolation))
    done: Callable[[Image.Image], Tensor] = Compose([resize, CenterCrop(SIZE), ToTensor(), Normalize(MEAN, STD)])
    return done
