"""An encoder's preprocessing as plain data that another program can follow to the pixel."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import DetectorError


@dataclass(frozen=True)
class Preprocessing:
    """From an RGB picture, turned as its EXIF says, to what the image tower takes.

    Args:
        resize: `[height, width]` of the resized picture; or `[side]` of its shorter side, where the longer one is the
            whole part of `side * longer / shorter`.
        filter: Pillow's name of the filter that resizes, such as `BICUBIC`.
        size: `[height, width]` that is cut from the centre: from the row `round((height - size) / 2)`, halves to even,
            and from the column alike.
        mean: of each channel, taken off after a division by 255.
        std: of each channel, which divides the rest.
    """

    resize: list[int]
    filter: str
    size: list[int]
    mean: list[float]
    std: list[float]

    def __call__(self, picture: Image.Image) -> NDArray[np.float32]:
        """The tensor of a picture, float32, shape (3, H, W)."""
        width, height = picture.size
        if len(self.resize) == 2:
            new = (self.resize[1], self.resize[0])
        else:
            shorter, side = min(width, height), self.resize[0]
            new = (int(side * width / shorter), int(side * height / shorter))
        picture = picture.resize(new, Image.Resampling[self.filter])

        top, left = round((new[1] - self.size[0]) / 2), round((new[0] - self.size[1]) / 2)
        picture = picture.crop((left, top, left + self.size[1], top + self.size[0]))
        pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)  # (H, W, 3)
        mean, std = (np.array(one, dtype=np.float32) for one in (self.mean, self.std))
        return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


def preprocessing_of(encoder: Encoder) -> Preprocessing:
    """An encoder's own preprocessing; what is described is compared with it, pixel by pixel, on some pictures.

    Raises:
        DetectorError: it is none that can be described so.
    """
    described = _of_steps(getattr(encoder.transform, "transforms", []))
    if described is None or not all(_agree(described, encoder.transform, picture) for picture in _probes()):
        raise DetectorError(
            f"the preprocessing of encoder {encoder.name!r} cannot be written down for other programs: expected a "
            f"resize by Pillow (`resize: exact`), a cut from the centre, and a normalisation"
        )
    return described


def _of_steps(steps: list[Any]) -> Preprocessing | None:
    """Of torchvision's steps; those of open_clip and timm for RGB change nothing here."""
    from torchvision.transforms import CenterCrop, Normalize, Resize, ToTensor

    names = [getattr(step, "__name__", type(step).__name__) for step in steps]
    match [
        step for step, name in zip(steps, names, strict=True) if name not in ("_convert_to_rgb", "MaybeConvertMode")
    ]:
        case [Resize() as resize, *crops, ToTensor(), Normalize() as normalize] if len(crops) < 2:
            sizes = [resize.size] if isinstance(resize.size, int) else list(resize.size)
            crop = list(crops[0].size) if crops and isinstance(crops[0], CenterCrop) else None
            size = crop if crop is not None else sizes if not crops else None
            if size is None or len(size) != 2:
                return None
            numbers = ([float(one) for one in part] for part in (normalize.mean, normalize.std))
            return Preprocessing(sizes, resize.interpolation.value.upper(), size, *numbers)
    return None


def _probes() -> list[Image.Image]:
    """Pictures of odd sizes, lying and standing."""
    rng = np.random.default_rng(0)
    shapes = ((61, 347, 3), (402, 233, 3), (300, 301, 3), (16, 16, 3))
    return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


def _agree(described: Preprocessing, transform: Callable[[Image.Image], Any], picture: Image.Image) -> bool:
    try:
        expected = transform(picture).numpy()
    except (ValueError, TypeError, AttributeError):
        return False
    got = described(picture)
    return got.shape == expected.shape and bool(np.abs(got - expected).max() < 1e-5)


def words_of(described: Preprocessing) -> list[str]:
    """The same in words, a step a line."""
    resized = (
        f"resize to {described.resize[0]} x {described.resize[1]} (height x width)"
        if len(described.resize) == 2
        else f"resize the shorter side to {described.resize[0]}, the longer one to the whole part of "
        f"{described.resize[0]} * longer / shorter"
    )
    return [
        "turn the picture as its EXIF orientation says; divide grey of 16 bits by 256; convert to RGB",
        f"{resized}, by Pillow's {described.filter}",
        f"cut {described.size[0]} x {described.size[1]} from the centre",
        f"divide by 255, subtract {json.dumps(described.mean)}, divide by {json.dumps(described.std)}, by channel",
        "put the channels first: float32, (batch, 3, height, width)",
    ]
