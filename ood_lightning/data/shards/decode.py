"""Encoded pictures: what kind the bytes are, whether they decode, and the RGB picture. Needs no torch."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
LONGEST = 500  # times its width: a line of 1 x 65,535 pixels, its shorter side scaled to 224, would be 13 GB
MAX_BYTES = 2**28  # of one encoded picture; photographs have a hundredth of it
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
    with opened(data) as image:
        return rgb(image)


def rgb(image: Image.Image) -> Image.Image:
    """An opened picture, decoded; as :func:`decode` gives it."""
    image.load()
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def suffix_of(data: bytes, pixels: bool = True) -> str:
    """Ending for a picture, by its content: `jpg`, `png` or `webp`; a PNG that is named .jpg is a PNG.

    Args:
        data: an encoded picture.
        pixels: read all of it; otherwise the header alone, which does not notice a file cut short.

    Raises:
        ValueError: the words of :func:`decode` where that would refuse it.
    """
    with opened(data) as image:
        kind = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}[str(image.format)]
        if kind == "jpg":  # all coefficients are read, an eighth of the pixels is computed: two to three times faster
            image.draft("RGB", (max(image.width // 8, 1), max(image.height // 8, 1)))
        if pixels:
            image.convert("RGB")
        return kind


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """A picture of which the header alone has been read, and found harmless. Refusals are those of :func:`decode`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if max(image.size) > LONGEST * min(image.size):
                raise ValueError(f"its {image.width} x {image.height} pixels: over {LONGEST} times as long as wide")
            yield image
    except UnidentifiedImageError:
        raise ValueError(f"its {len(data)} bytes are no JPEG, PNG or WebP") from None  # Pillow's words name a BytesIO
    except _REFUSED as error:
        raise ValueError(str(error)) from None
