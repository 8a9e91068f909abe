"""Encoded images with edges everywhere: nothing of them can be compressed away or lost unseen."""

import io

import numpy as np
from PIL import Image


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The image as bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise_image(file_format: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    """A file of the same noise each time; `size` is width and height."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise), file_format)
