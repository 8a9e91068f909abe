"""Images as people have them, and their pixels: paths, folders, pictures of shards, pictures and arrays in memory.

Memory does not grow with the number of images: they are listed as they are asked for, and worker processes decode a few
batches ahead.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ood_lightning.data.pack.listings import File
from ood_lightning.data.shards.decode import to_rgb
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import PARTS_AHEAD
from ood_lightning.detector_folder.sources import Member, files_at
from ood_lightning.errors import SettingsError, UserError

Item = str | Member | Image.Image  # the path of a file, a picture of a shard, or one in memory
Images = Any  # what `items` takes
EXPECTED = (
    "expected paths of pictures or folders, PIL images, arrays (H, W, 3) uint8, tensors (3, H, W) uint8 or float in "
    "[0, 1], or an iterable of these"
)


class Pixels(NamedTuple):
    """A batch of images, decoded.

    Attributes:
        paths: of all b images, as rows have them; None for one that came from memory.
        image: those that could be decoded, (n, 3, H, W); None where n is 0.
        is_finished: they are float32 as the encoder takes them; otherwise uint8, and the rest of the transform follows.
        errors: why an image could not be decoded; "" where it could, b of them.
    """

    paths: list[str | None]
    image: Tensor | None
    is_finished: bool
    errors: list[str]


def items(images: Images, passed_over: Counter[str] | None = None) -> Iterator[Item]:
    """All images behind what a person gives, in order; those of a folder by their paths.

    Args:
        images: see :data:`EXPECTED`; a batch (B, 3, H, W) or (B, H, W, 3) is an iterable of images.
        passed_over: takes the endings of a folder's other files.

    Raises:
        SettingsError: something else, or pixels out of range.
        SourceError: a folder without pictures.
    """
    if isinstance(images, str | os.PathLike):
        yield from files_at(Path(images), Counter[str]() if passed_over is None else passed_over)
    elif isinstance(images, Image.Image):
        yield images
    elif isinstance(images, np.ndarray) and images.ndim == 3:
        yield _of_array(images)
    elif isinstance(images, Tensor) and images.ndim == 3:
        yield _of_tensor(images)
    elif isinstance(images, Iterable) and not isinstance(images, bytes) and getattr(images, "ndim", 4) == 4:
        for one in images:
            yield from items(one, passed_over)
    else:
        shape = f" of shape {tuple(images.shape)}" if hasattr(images, "shape") else ""
        raise SettingsError(f"an image is a {type(images).__name__}{shape}: {EXPECTED}")


def batches_of(images: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The same images, `size` at a time; they are taken from their source when a batch is asked for."""
    source = iter(images)
    while batch := list(islice(source, size)):
        yield batch


def _of_array(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.shape[2] != 3 or not image.size:
        raise SettingsError(f"an image is an array {image.dtype} {image.shape}: {EXPECTED}")
    return Image.fromarray(np.ascontiguousarray(image))


def _of_tensor(image: Tensor) -> Image.Image:
    """A picture of levels 0 to 255; numbers in [0, 1] are rounded to them."""
    if image.shape[0] != 3 or not image.numel() or not (image.dtype == torch.uint8 or image.is_floating_point()):
        raise SettingsError(f"an image is a tensor {image.dtype} {tuple(image.shape)}: {EXPECTED}")
    if image.is_floating_point():
        if not bool(((image >= 0) & (image <= 1)).all()):
            raise SettingsError(
                f"an image is a tensor of numbers from {float(image.min()):.4g} to {float(image.max()):.4g}: "
                f"{EXPECTED}. It is not to be normalised: the encoder's own preprocessing follows"
            )
        image = (image.float() * 255).round().to(torch.uint8)
    return Image.fromarray(image.permute(1, 2, 0).cpu().contiguous().numpy())


class PixelReader(Dataset[Pixels]):
    """Batches of items to pixels, here or in a worker process.

    Args:
        transform: the encoder's, of a decoded picture.
    """

    def __init__(self, transform: Callable[[Image.Image], Tensor]) -> None:
        self.transform = transform
        self.first, self.rest = split(transform, upright=True)
        self.first_as_stored = split(transform).first

    def __getitems__(self, batch: list[Item]) -> Pixels:
        """The pixels of a batch; torch's loader calls it with what the sampler gave."""
        paths = list(map(path_of, batch))
        only_files = None not in paths
        images: list[Tensor] = []
        errors: list[str] = []

        for item in batch:
            try:
                images.append(self._pixels(item, finished=not only_files))
                errors.append("")
            except (OSError, ValueError) as error:
                errors.append(f"cannot be read: {getattr(error, 'strerror', None) or error}")

        return Pixels(paths, torch.stack(images) if images else None, not only_files, errors)

    def _pixels(self, item: Item, *, finished: bool) -> Tensor:
        """One image; a batch of files alone is finished later, all at once and on the encoder's device."""
        if isinstance(item, Image.Image):
            return self.transform(to_rgb(item, upright=True))

        if isinstance(item, Member):
            first, location = self.first if item.upright else self.first_as_stored, item.location
        else:
            first, location = self.first, File(item)
            if not S_ISREG(os.stat(item).st_mode):  # reading a pipe would wait for ever
                raise ValueError("a device, pipe or folder, and no plain file")
        pixels = first(location.read())
        return self.rest(pixels[None])[0].clone() if finished else pixels


def path_of(item: Item) -> str | None:
    """What rows call an image; None for one in memory."""
    if isinstance(item, Member):
        return item.path
    return item if isinstance(item, str) else None


def decoded(batches: Iterable[list[Item]], reader: PixelReader, num_workers: int) -> Iterator[Pixels]:
    """Pixels of all batches, in order.

    Args:
        batches: of items; taken a few ahead.
        reader: decodes them.
        num_workers: processes that decode; 0: this one.

    Raises:
        SettingsError: no process can be started.
    """
    if not num_workers:
        yield from map(reader.__getitems__, batches)
        return

    settings: dict[str, Any] = {"num_workers": num_workers, "prefetch_factor": PARTS_AHEAD, "collate_fn": _itself}
    try:  # forked: a spawned worker would import torch anew, for seconds
        running = iter(DataLoader(reader, batch_sampler=batches, multiprocessing_context="fork", **settings))
    except OSError as error:  # starting takes shared memory, open files and processes
        if isinstance(error, UserError):  # of the first batches, which are listed meanwhile
            raise
        raise SettingsError(
            f"processes that decode pictures cannot be started ({error.strerror}). Use fewer num_workers (0 needs "
            f"none), or free some of /dev/shm"
        ) from None
    yield from running


def _itself(pixels: Pixels) -> Pixels:
    return pixels
