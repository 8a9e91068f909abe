"""Images come from workers as bytes, a quarter of float32; what is left of a transform follows on whole batches.

An example, of open_clip's preprocessing for a model of 224 x 224 pixels:

    in a worker, `first`, for each image:        decode, resize, crop         -> uint8 (3, 224, 224), 150 kB
    in the main process, `rest`, for a batch:    / 255, - mean, / deviation   -> float32 (B, 3, 224, 224)

Together they give the bits that the whole transform gives of the decoded image.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ood_lightning.data.shards.decode import decode, open_image, orientation, to_rgb


class Split(NamedTuple):
    """From encoded images to what a transform makes of them, in two parts.

    Attributes:
        first: encoded image to tensor (3, H, W), uint8 if the transform could be split; ValueError if it is damaged.
        rest: of batches (B, 3, H, W), to float32 as the model takes it, on any device; each call overwrites what
            the one before gave.
    """

    first: Callable[[bytes], Tensor]
    rest: Callable[[Tensor], Tensor]


def split(transform: Callable[[Image.Image], Tensor], *, upright: bool = False) -> Split:
    """Split a transform where a picture becomes numbers: before `ToTensor`, if `Normalize` ends it after that.

    Any other transform stays whole, and `rest` changes nothing.

    Args:
        transform: of a decoded image.
        upright: turn images as their EXIF says, before anything else.
    """
    from torchvision.transforms import Compose, Normalize, ToTensor

    match transform.transforms if isinstance(transform, Compose) else []:
        case [*before, ToTensor(), Normalize() as normalize]:
            return Split(
                Compose(_first(before, upright)), _Rest(torch.tensor(normalize.mean), torch.tensor(normalize.std))
            )
    return Split(Compose([partial(decode, upright=upright), transform]), nn.Identity())


def _first(steps: list[Any], upright: bool) -> list[Any]:
    """Steps from encoded image to uint8 (3, H, W), of those of a transform of pictures."""
    from torchvision.transforms import CenterCrop
    from torchvision.transforms.functional import pil_to_tensor

    # open_clip's own conversion is left out: images come in RGB
    steps = [step for step in steps if getattr(step, "__name__", "") != "_convert_to_rgb"]

    # `resize: fast` works on tensors
    if steps and hasattr(steps[0], "of_pixels") and all(isinstance(step, CenterCrop) for step in steps[1:]):
        return [partial(pixels, upright=upright), steps[0].of_pixels, *steps[1:]]  # not copied into Pillow and back
    return [partial(decode, upright=upright), *steps, pil_to_tensor]


def pixels(data: bytes, *, upright: bool = False) -> Tensor:
    """uint8 (3, H, W) of an encoded image: the bits of :func:`decode`, since both take them from libjpeg-turbo."""
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import pil_to_tensor

    decoded: Tensor
    with open_image(data) as image:
        turned = upright and orientation(image) != 1
        if image.format == "JPEG" and image.mode in ("RGB", "L") and not turned:  # CMYK is converted in another way
            try:
                decoded = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
                return decoded
            except RuntimeError:  # Pillow decides what is damaged, and says so
                pass

        rgb = to_rgb(image, upright=upright)
    decoded = pil_to_tensor(rgb)
    return decoded


class _Rest:
    """Division by 255, mean and deviation of the channels, in the order of `ToTensor` and `Normalize`."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        levels = torch.full((1,), 255.0)  # by a plain number, GPUs multiply with its rounded inverse
        self.constants = (levels, mean[:, None, None], std[:, None, None])  # the last two (3, 1, 1)
        self.buffer = torch.empty(0)  # fresh memory for each batch takes longer than the arithmetic

    def __call__(self, images: Tensor) -> Tensor:
        device = images.device
        if self.buffer.device != device:
            levels, mean, std = self.constants
            self.constants = levels.to(device), mean.to(device), std.to(device)  # once: it waits for the device
        if self.buffer.device != device or self.buffer.shape[1:] != images.shape[1:] or len(self.buffer) < len(images):
            # the layout that GPUs convolve in
            layout = torch.contiguous_format if device.type == "cpu" else torch.channels_last
            self.buffer = torch.empty(images.shape, device=device, memory_format=layout)
        out = self.buffer[: len(images)]

        levels, mean, std = self.constants
        step = 1 if device.type == "cpu" else len(images)  # one image stays in a processor's cache, a batch does not
        for rows, out_rows in zip(images.split(step), out.split(step), strict=True):
            torch.div(rows, levels, out=out_rows).sub_(mean).div_(std)
        return out
