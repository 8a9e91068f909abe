"""Encoded images: what kind the bytes are, whether they decode, and the RGB picture. Needs no torch."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from ood_lightning.data.shards.formats import ENDINGS, MAX_BYTES

SUFFIXES = {"MPO": "jpg", **{name: endings[0] for name, endings in ENDINGS.items()}}  # MPO: a JPEG with more behind it
MAX_ASPECT = 500  # of a line of 1 x 65,535 pixels, its shorter side scaled to 224, the picture would have 13 GB
# what Pillow raises for damaged, cut and hostile files; a RuntimeError comes from AVIF's decoder
_REFUSED = (
    OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning, struct.error, IndexError,
    KeyError, TypeError, OverflowError, ZeroDivisionError, RuntimeError, EOFError,
)  # fmt: skip

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftyphevx", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1")
# from the orientation in EXIF to what sets a picture upright
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


def decode(data: bytes, *, upright: bool = False) -> Image.Image:
    """RGB picture from encoded bytes.

    Every mode is converted to RGB before any resize, and of an animation the first frame is taken, as by torchvision's
    ImageFolder.
    Differs: open_clip's transform resizes palette, 1-bit and 16-bit pictures first; for all other modes the two agree.
    Grey of 16 bits is divided by 256, where Pillow alone would cut it at 255 and leave a white picture.

    Args:
        data: an encoded image.
        upright: turn it as its orientation in EXIF says; ImageFolder does not (of a TIFF, Pillow itself does).

    Raises:
        ValueError: the bytes are no whole picture of :data:`ENDINGS`, or far larger or longer than any photograph.
    """
    with open_image(data) as image:
        return to_rgb(image, upright=upright)


def to_rgb(image: Image.Image, *, upright: bool = False) -> Image.Image:
    """An opened image, decoded; as :func:`decode` gives it."""
    image.load()
    if image.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers of which nobody says what is white: store it with 8 or 16 bits")

    turn = TURNS.get(orientation(image)) if upright else None
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """The orientation in an image's EXIF, 1 to 8; 1, upright, where none can be read."""
    with suppress(*_REFUSED, ValueError):
        number = image.getexif().get(ExifTags.Base.Orientation, 1)
        return number if isinstance(number, int) else 1
    return 1


def suffix_of(data: bytes, pixels: bool = True) -> str:
    """Ending for an image, by its content, such as `jpg` or `png`; a PNG that is named .jpg is a PNG.

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
            to_rgb(image)
        return suffix


@contextmanager
def open_image(data: bytes) -> Iterator[Image.Image]:
    """An image of which only the header has been read, and found harmless.

    What Pillow raises inside the context, when it decodes, becomes a ValueError too.

    Raises:
        ValueError: see :func:`decode`.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of metadata that is damaged or unknown
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(_without_metadata(data)), formats=formats())

            if max(image.size) > MAX_ASPECT * min(image.size):
                raise ValueError(f"its {image.width} x {image.height} pixels: over {MAX_ASPECT} times as long as wide")
            yield image
    except UnidentifiedImageError:  # Pillow's own words name a BytesIO
        raise ValueError(_unidentified(data)) from None
    except _REFUSED as error:
        raise ValueError(str(error) or type(error).__name__) from None


@cache
def formats() -> tuple[str, ...]:
    """The formats of :data:`ENDINGS` that are read here: HEIC where its plugin is installed."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in ENDINGS if name in Image.OPEN)


def endings() -> list[str]:
    """The first ending of each format that is read here."""
    return [ENDINGS[name][0] for name in formats()]


def _unidentified(data: bytes) -> str:
    """Why bytes are no picture that is read here."""
    if data[4:12] in HEIC_BRANDS and "HEIF" not in formats():
        return "it is HEIC, which is read where its plugin is installed: pip install 'ood-lightning[heic]'"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "it is AVIF, which this Pillow does not read: it takes Pillow 11.3 or newer, with libavif"
    known = ", ".join({"WEBP": "WebP", "HEIF": "HEIC"}.get(name, name) for name in formats())
    return f"its {len(data)} bytes are none of {known}"


def _without_metadata(data: bytes) -> bytes:
    """A PNG without texts and colour profile: no pixel depends on them, and Pillow refuses large ones."""
    if not data.startswith(PNG_START):
        return data

    kept, start, at = [], 0, len(PNG_START)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])  # length, kind, content, checksum
        if data[at + 4 : at + 8] in PNG_METADATA:
            kept.append(data[start:at])
            start = end
        at = end
    return b"".join([*kept, data[start:]]) if kept else data
