"""Encoded images: what kind the bytes are, whether they decode, and the RGB picture. Needs no torch."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}  # MPO: a JPEG with further pictures behind it
MAX_ASPECT = 500  # of a line of 1 x 65,535 pixels, its shorter side scaled to 224, the picture would have 13 GB
MAX_BYTES = 2**28  # of one encoded image; photographs have a hundredth of it
_REFUSED = (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def decode(data: bytes) -> Image.Image:
    """RGB picture from encoded bytes.

    Every mode is converted to RGB before any resize, an orientation in EXIF is not applied, and of an animation the
    first frame is taken, as by torchvision's ImageFolder.
    Differs: open_clip's transform resizes palette, 1-bit and 16-bit pictures first; for all other modes the two agree.
    Grey of 16 bits is divided by 256, where Pillow alone would cut it at 255 and leave a white picture.

    Raises:
        ValueError: the bytes are no whole JPEG, PNG or WebP, or far larger or longer than any photograph.
    """
    with open_image(data) as image:
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image, decoded; as :func:`decode` gives it."""
    image.load()
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def suffix_of(data: bytes, pixels: bool = True) -> str:
    """Ending for an image, by its content: `jpg`, `png` or `webp`; a PNG that is named .jpg is a PNG.

    Args:
        data: an encoded image.
        pixels: read all of it; otherwise the header alone, which does not show that a file was cut short.

    Raises:
        ValueError: :func:`decode` would refuse it; in the same words.
    """
    with open_image(data) as image:
        suffix = SUFFIXES[str(image.format)]
        # of a JPEG all coefficients are read, an eighth of the pixels is computed: two to three times faster
        if pixels and suffix == "jpg":
            image.draft("RGB", (max(image.width // 8, 1), max(image.height // 8, 1)))
        if pixels:
            image.convert("RGB")
        return suffix


@contextmanager
def open_image(data: bytes) -> Iterator[Image.Image]:
    """An image of which only the header has been read, and found harmless.

    What Pillow raises inside the context, when it decodes, becomes a ValueError too.

    Raises:
        ValueError: see :func:`decode`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)

            if max(image.size) > MAX_ASPECT * min(image.size):
                raise ValueError(f"its {image.width} x {image.height} pixels: over {MAX_ASPECT} times as long as wide")
            yield image
    except UnidentifiedImageError:  # Pillow's own words name a BytesIO
        raise ValueError(f"its {len(data)} bytes are no JPEG, PNG or WebP") from None
    except _REFUSED as error:
        raise ValueError(str(error)) from None
