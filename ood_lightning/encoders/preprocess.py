"""Preprocessing: of published code bases, for matching their numbers, and of transformers; else the model's own."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.transforms.v2.functional import resize

from ood_lightning.errors import EncoderError

log = logging.getLogger(__name__)

SIZE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
SHORTER_SIDE = {"legacy-bilinear224": (224, "bilinear"), "openood-256": (256, "bicubic")}


class _FastResize:
    """torchvision's resize of bytes in place of Pillow's: vector instructions, weights of 16 bits instead of 22.

    Args:
        exact: the transform that it replaces.
    """

    def __init__(self, exact: Any) -> None:
        self.size = [exact.size] if isinstance(exact.size, int) else list(exact.size)
        self.interpolation = exact.interpolation

    def __call__(self, picture: Image.Image) -> Image.Image:
        return cast(Image.Image, to_pil_image(self.of_pixels(pil_to_tensor(picture))))

    def of_pixels(self, pixels: Tensor) -> Tensor:
        """The same for a uint8 tensor (3, H, W); the reader of shards calls it, and makes no Pillow picture."""
        return cast(Tensor, resize(pixels, self.size, self.interpolation, antialias=True))


def with_fast_resize(transform: Any, encoder: str) -> Compose:
    """The same preprocessing in less time; some pixels differ by one level of 255 (docs/sources.md has the figures).

    Args:
        transform: torchvision's, of an encoder.
        encoder: its name, for errors.

    Raises:
        EncoderError: if the preprocessing does not resize by torchvision's `Resize`.
    """
    steps = transform.transforms if isinstance(transform, Compose) else []
    if not any(isinstance(step, Resize) for step in steps):
        raise EncoderError(f"the preprocessing of encoder {encoder!r} has no plain resize: use resize: exact")

    return Compose([_FastResize(step) if isinstance(step, Resize) else step for step in steps])


def preset(name: str, image_size: Any, encoder: str) -> Compose:
    """Shorter side to 224 or 256 pixels, the centre 224 x 224, CLIP's mean and deviation.

    Args:
        name: `legacy-bilinear224` (NegLabel, CSP, MCM, GL-MCM) or `openood-256` (OpenOOD, InterNeg, ANTS).
        image_size: that the model takes, a number or (height, width).
        encoder: its name, for errors.

    Raises:
        EncoderError: if the model takes another size.
    """
    if image_size not in (SIZE, (SIZE, SIZE), [SIZE, SIZE]):
        raise EncoderError(
            f"preprocess {name!r} makes pictures of {SIZE} x {SIZE}, encoder {encoder!r} takes {image_size}: use "
            f"preprocess: model"
        )

    side, interpolation = SHORTER_SIDE[name]
    return Compose(
        [
            Resize(side, interpolation=InterpolationMode(interpolation)),
            CenterCrop(SIZE),
            ToTensor(),
            Normalize(MEAN, STD),
        ]
    )


def _processed(processor: Any, picture: Image.Image) -> Any:
    """All that an image processor of transformers does to a picture, a tensor (3, H, W) float32."""
    return processor(picture, return_tensors="pt")["pixel_values"][0]


def _resized_pixels(processor: Any, picture: Image.Image) -> Any:
    """What an image processor does to a picture before it scales and normalises its pixels, an array (3, H, W)."""
    return processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]


def _resized(processor: Any, picture: Image.Image) -> Image.Image:
    """The same as a picture."""
    return Image.fromarray(_resized_pixels(processor, picture).transpose(1, 2, 0))


def of_processor(processor: Any, encoder: str) -> Callable[[Image.Image], Tensor]:
    """An image processor of transformers as a transform that gives the same pixels.

    Where the processor ends in a division by 255 and a plain normalisation, these two are steps of the transform's own:
    the reader's workers then hand over bytes, and whole batches are scaled at once.

    Args:
        processor: in its Pillow form where there is one.
        encoder: its name, for errors and the log.

    Raises:
        EncoderError: if it does not make one picture (3, H, W) of a picture.
    """
    if processor.backend != "pil":
        log.warning(
            "%s prepares pictures by %s, not Pillow: resized pixels differ a little", encoder, processor.backend
        )

    whole = partial(_processed, processor)
    probe = Image.linear_gradient("L").rotate(30).resize((61, 47)).convert("RGB")
    expected = whole(probe)
    if expected.ndim != 3 or expected.shape[0] != 3:
        raise EncoderError(
            f"encoder {encoder!r}: its {type(processor).__name__} makes {tuple(expected.shape)} of a picture, expected "
            f"(3, H, W). Name a variant with a fixed resolution (SigLIP 2: not `naflex`)."
        )

    if processor.backend != "pil" or not processor.do_normalize or _resized_pixels(processor, probe).dtype != "uint8":
        return whole

    in_steps = Compose([partial(_resized, processor), ToTensor(), Normalize(processor.image_mean, processor.image_std)])
    # some processors divide by another number, or do more between or after these steps
    return in_steps if torch.allclose(in_steps(probe), expected, rtol=0, atol=1e-5) else whole
