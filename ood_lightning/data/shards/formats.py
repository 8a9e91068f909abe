"""The one list of picture formats, for packing, shards and folders alike. Needs neither torch nor Pillow."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

# formats by Pillow's names, with the endings of their files; `data pack` writes the first
ENDINGS = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "AVIF": ("avif",),
    "HEIF": ("heic", "heif", "hif"),
}
# nothing here reads these, but whoever has such files takes them for pictures: they are named, not passed over
UNREAD = ("ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "jxl", "jxr", "ico", "svg", "tga", "pcx", "exr")
PICTURE_ENDINGS = frozenset(UNREAD).union(*ENDINGS.values())
MAX_BYTES = 2**28  # of one encoded image; photographs have a hundredth of it


def ending_of(name: str) -> str:
    """What stands behind the last dot of a file's name, in small letters; empty: there is no dot.

    Example:
        >>> ending_of("a.b/c.JPG"), ending_of("a.b/c")
        ('jpg', '')
    """
    return name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name.rpartition("/")[2] else ""


def is_fork(name: str) -> bool:
    """Whether macOS put a file beside another one, to hold what other systems have no place for.

    Example:
        >>> is_fork("cat/._1.jpg"), is_fork("__MACOSX/cat/1.jpg"), is_fork("cat/1.jpg")
        (True, True, False)
    """
    *folders, file = name.split("/")
    return file.startswith("._") or "__MACOSX" in folders


def may_be_picture(name: str) -> bool:
    """Whether a file is one by its name; whether it can be read is for its content to say."""
    return ending_of(name) in PICTURE_ENDINGS and not is_fork(name)


def image_names(names: Iterable[str], passed_over: Counter[str]) -> Iterator[str]:
    """Names that may be those of pictures; the others are counted in `passed_over`."""
    for name in names:
        ending = PurePosixPath(name).suffix.lower()
        if ending.lstrip(".") not in PICTURE_ENDINGS:
            passed_over[ending or "no ending"] += 1
        elif is_fork(name):
            passed_over["resource forks of macOS"] += 1
        else:
            yield name
