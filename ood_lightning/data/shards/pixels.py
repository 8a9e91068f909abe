"""Pictures come from workers as bytes, a quarter of float32; what is left of a transform follows on whole batches."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ood_lightning.data.shards.decode import decode, opened, rgb


class Split(NamedTuple):
    """From encoded pictures to what a transform makes of them, in two parts.

    Attributes:
        first: encoded picture to tensor (3, H, W), uint8 if the transform could be split; ValueError if it is damaged.
        rest: of batches (B, 3, H, W), to float32 as the model takes it, on any device; each call overwrites what
            the one before gave.
    """

    first: Callable[[bytes], Tensor]
    rest: Callable[[Tensor], Tensor]


def split(transform: Callable[[Image.Image], Tensor]) -> Split:
    """Split where a picture becomes numbers; a transform that does not end so stays whole.

    The two give the bits that the transform gives of the decoded picture: the rest, division by 255 and the channels'
    mean and deviation, is done in the transform's own order.
    """
    from torchvision.transforms import Compose, Normalize, ToTensor

    if not isinstance(transform, Compose) or len(transform.transforms) < 2:
        return Split(Decoded(transform), _as_they_are)
    *before, to_tensor, normalize = transform.transforms
    if not isinstance(to_tensor, ToTensor) or not isinstance(normalize, Normalize):
        return Split(Decoded(transform), _as_they_are)
    return Split(_first(before), _Rest(torch.tensor(normalize.mean), torch.tensor(normalize.std)))


def _first(steps: list[Any]) -> Callable[[bytes], Tensor]:
    from torchvision.transforms import CenterCrop, Compose
    from torchvision.transforms.functional import pil_to_tensor

    steps = [s for s in steps if getattr(s, "__name__", "") != "_convert_to_rgb"]  # open_clip's: they come in RGB
    if steps and hasattr(steps[0], "of_pixels") and all(isinstance(step, CenterCrop) for step in steps[1:]):
        return _FastPixels(Compose([steps[0].of_pixels, *steps[1:]]))
    return Decoded(Compose([*steps, pil_to_tensor]))


def _as_they_are(images: Tensor) -> Tensor:
    return images


class Decoded:
    """What a transform makes of an encoded picture."""

    def __init__(self, transform: Callable[[Image.Image], Tensor]) -> None:
        self.transform = transform

    def __call__(self, data: bytes) -> Tensor:  # noqa: D102
        return self.transform(decode(data))


class _FastPixels:
    """The same of tensors: what torchvision decodes needs not be copied out of Pillow and back."""

    def __init__(self, transform: Callable[[Tensor], Tensor]) -> None:
        self.transform = transform

    def __call__(self, data: bytes) -> Tensor:
        return self.transform(pixels(data))


def pixels(data: bytes) -> Tensor:
    """uint8 (3, H, W) of an encoded picture: the bits of :func:`decode`, which both take from libjpeg-turbo."""
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import pil_to_tensor

    with opened(data) as picture:
        if picture.format == "JPEG" and picture.mode in ("RGB", "L"):  # CMYK is converted in another way
            try:
                found: Tensor = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
                return found
            except RuntimeError:  # Pillow decides what is damaged, and says so
                pass
        found = pil_to_tensor(rgb(picture))
        return found


class _Rest:
    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean[:, None, None], std[:, None, None]
        self.made = torch.empty(0)

    def __call__(self, images: Tensor) -> Tensor:
        on = images.device
        mean, std = self.mean.to(on), self.std.to(on)
        levels = torch.full((1,), 255.0, device=on)  # by a plain number, GPUs multiply with its rounded inverse
        if (self.made.device, self.made.shape[1:]) != (on, images.shape[1:]) or len(self.made) < len(images):
            self.made = torch.empty(images.shape, device=on)
        out = self.made[: len(images)]  # to be given fresh memory for each batch takes longer than the arithmetic
        step = 1 if on.type == "cpu" else len(images)  # one picture stays in a processor's cache, a batch does not
        for some, done in zip(images.split(step), out.split(step), strict=True):
            torch.div(some, levels, out=done).sub_(mean).div_(std)
        return out
