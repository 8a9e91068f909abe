"""Pictures come from workers as bytes, a quarter of float32; what is left of a transform follows on whole batches."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor


class Split(NamedTuple):
    """A transform in two parts that give the same numbers one after the other.

    Attributes:
        first: PIL picture to tensor (3, H, W), uint8 if the transform could be split.
        rest: of batches (B, 3, H, W), to float32 as the model takes it, on any device.
    """

    first: Callable[[Image.Image], Tensor]
    rest: Callable[[Tensor], Tensor]


def split(transform: Callable[[Image.Image], Tensor]) -> Split:
    """Split where a picture becomes numbers; a transform that does not end so stays whole.

    The rest, division by 255 and the channels' mean and deviation, is done in the transform's own order: equal bits.
    """
    from torchvision.transforms import Compose, Normalize, ToTensor

    if not isinstance(transform, Compose) or len(transform.transforms) < 2:
        return Split(transform, _as_they_are)
    *before, to_tensor, normalize = transform.transforms
    if not isinstance(to_tensor, ToTensor) or not isinstance(normalize, Normalize):
        return Split(transform, _as_they_are)
    return Split(_Bytes(Compose(before)), _Rest(torch.tensor(normalize.mean), torch.tensor(normalize.std)))


def _as_they_are(images: Tensor) -> Tensor:
    return images


class _Bytes:
    def __init__(self, before: Callable[[Image.Image], Image.Image]) -> None:
        self.before = before

    def __call__(self, picture: Image.Image) -> Tensor:
        from torchvision.transforms.functional import pil_to_tensor

        pixels: Tensor = pil_to_tensor(self.before(picture))
        return pixels


class _Rest:
    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean[:, None, None], std[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        on = images.device
        mean, std = self.mean.to(on), self.std.to(on)
        levels = torch.full((1,), 255.0, device=on)  # by a plain number, GPUs multiply with its rounded inverse
        out = torch.empty(images.shape, device=on)
        step = 1 if on.type == "cpu" else len(images)  # one picture stays in a processor's cache, a batch does not
        for some, done in zip(images.split(step), out.split(step), strict=True):
            torch.div(some, levels, out=done).sub_(mean).div_(std)
        return out
