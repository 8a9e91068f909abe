"""Pictures that are no ordinary photographs, through the preprocessing of models and of published code."""

import io
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from noise_images import noise_image, saved
from PIL import ExifTags, Image, ImageFile, ImageOps
from shard_files import write_tar

from ood_lightning.data.shards.decode import decode, formats, suffix_of
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.preprocess import preset
from ood_lightning.errors import ShardContentError


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png_of(width: int, height: int) -> bytes:
    """A grey PNG that names a size; its pixels are as short as zlib makes them."""
    row = zlib.compress(bytes((width + 7) // 8 + 1) * min(height, 50_000))
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


ODD = {
    "one_pixel_png": saved(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG"),
    "one_pixel_jpeg": saved(Image.new("RGB", (1, 1)), "JPEG"),
    "one_pixel_webp": saved(Image.new("RGB", (1, 1)), "WEBP"),
    "line": saved(Image.new("RGB", (300, 1)), "PNG"),
    "cmyk": saved(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"),
    "sixteen_bit": saved(Image.fromarray(np.full((30, 40), 40_000, np.uint16)), "PNG"),
    "palette": saved(Image.new("P", (40, 30)), "PNG"),
    "one_bit": saved(Image.new("1", (40, 30)), "PNG"),
    "transparent": saved(Image.new("RGBA", (40, 30)), "PNG"),
}


@pytest.mark.parametrize("name", sorted(ODD))
@pytest.mark.parametrize("preprocess", ["model", "legacy-bilinear224", "openood-256"])
def test_every_kind_of_picture_becomes_a_tensor_of_the_models_size(name: str, preprocess: str, tiny_model: Path):
    if preprocess == "model":
        transform, side = OpenClip(f"local-dir:{tiny_model}").transform, 16
    else:
        transform, side = preset(preprocess, 224, "x"), 224

    image = transform(decode(ODD[name]))
    assert image.shape == (3, side, side)
    assert torch.isfinite(image).all()


def test_grey_of_sixteen_bits_is_the_picture_of_eight():
    eight = np.arange(256, dtype=np.uint16).reshape(16, 16)
    image = decode(saved(Image.fromarray(eight * 256 + 200), "PNG"))
    assert image.mode == "RGB"
    assert (np.asarray(image) == eight[..., None]).all()


@pytest.mark.parametrize("ending", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken(ending: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(ending, {})
    data = saved(frames[0], ending, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3  # type: ignore[attr-defined]
    assert decode(data).getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png_of(30_000, 30_000), "decompression bomb"),
        (png_of(1, 65_535), "1 x 65535 pixels: over 500 times as long as wide"),
        (png_of(65_535, 100), "65535 x 100 pixels"),
        (b"", "its 0 bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"),
    ],
)
def test_a_small_file_that_would_fill_the_memory_is_named_or_counted(tmp_path: Path, data: bytes, words: str):
    assert len(data) < 250_000
    write_tar(tmp_path / "x-000.tar", [("a.png", ODD["palette"]), ("b.png", data), ("c.png", ODD["palette"])])
    manifest = read_manifest(str(tmp_path / "x-{000..000}.tar"))

    def read(max_bad_samples: int) -> list[str]:
        zeros = split(lambda image: torch.zeros(3, *image.size)).first
        parts = ShardParts(manifest, list(manifest.shards), zeros, 8, max_bad_samples)
        return [text for part in parts for text in (*part["keys"], *part["bad"])]

    with pytest.raises(ShardContentError, match=rf"x-000\.tar: the picture 'b' cannot be read \(.*{words}"):
        read(0)

    kept = read(1)
    assert kept[:2] == ["a", "c"]
    assert kept[2].startswith("b: ")


def test_a_picture_is_as_long_as_it_may_be():
    assert decode(png_of(1, 500)).size == (1, 500)


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_damaged_pictures_decode_or_raise_value_error_and_nothing_else(ending: str):
    """A byte flipped anywhere, a cut anywhere: what else a decoder may raise would end a run with a traceback."""
    data = noise_image(ending, (24, 24))
    for i in range(0, len(data), max(1, len(data) // 300)):
        cut = data[:i]
        flipped = data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]
        for damaged in (cut, flipped):
            try:
                assert decode(damaged).mode == "RGB"
            except ValueError:
                continue


def test_a_palette_becomes_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    decoded = decode(saved(image, "PNG"))
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (200, 100, 50)]


def test_grey_one_bit_and_transparent_pictures_become_rgb():
    assert decode(saved(Image.new("L", (1, 1), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)
    assert decode(saved(Image.new("1", (1, 1), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert decode(saved(Image.new("RGBA", (1, 1), (1, 2, 3, 0)), "PNG")).getpixel((0, 0)) == (1, 2, 3)
    assert decode(saved(Image.new("LA", (1, 1), (9, 0)), "PNG")).getpixel((0, 0)) == (9, 9, 9)


def test_cmyk_is_converted_as_pillow_does():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(saved(image, "JPEG", quality=100)).getpixel((8, 8))
    assert red > 245
    assert max(green, blue) < 10


def test_sixteen_bits_are_scaled_where_pillow_would_make_them_white():
    values = np.array([[0, 128, 255, 256, 40000, 65535]], dtype=np.uint16)
    data = saved(Image.fromarray(values), "PNG")
    image = decode(data)
    assert image.mode == "RGB"
    assert list(image.tobytes()[::3]) == [0, 0, 0, 1, 156, 255]
    by_image_folder = Image.open(io.BytesIO(data)).convert("L")
    assert list(by_image_folder.tobytes()) == [0, 128, 255, 255, 255, 255]


def test_a_picture_is_not_turned_by_its_exif_orientation_unless_wanted():
    """As in ImageFolder, under which published numbers were made."""
    assert decode(turned("JPEG", 6)).size == (6, 4)
    assert decode(turned("JPEG", 6), upright=True).size == (4, 6)


def turned(form: str, number: int, size: tuple[int, int] = (6, 4)) -> bytes:
    """Noise that says an orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(form, {})
    return saved(Image.open(io.BytesIO(noise_image(size=size))), form, exif=exif, **options)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("number", range(10))
def test_all_orientations_are_those_of_pillow(form: str, number: int):
    data = turned(form, number)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert decode(data, upright=True).tobytes() == expected.tobytes()


@pytest.mark.parametrize("at", range(26))  # bytes of EXIF with one entry
def test_damaged_exif_turns_nothing_and_loses_no_picture(at: int):
    data = bytearray(turned("JPEG", 6))
    start = data.index(b"Exif") + 6
    data[start + at] ^= 0xFF
    assert decode(bytes(data), upright=True).size in {(6, 4), (4, 6)}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"zTXt", b"scene\0\0" + zlib.compress(bytes(2**21))),
        (b"iTXt", b"scene\0\1\0\0\0" + zlib.compress(bytes(2**21))),
        (b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**21))),
        (b"tEXt", b"scene\0" + b"a" * 2**21),
        (b"zTXt", b"bomb\0\0" + zlib.compress(bytes(2**27))),
    ],
)
def test_a_png_is_read_whatever_texts_and_profile_it_has(kind: bytes, content: bytes):
    png = noise_image()
    described = png[:33] + chunk(kind, content) * 2 + png[33:]
    assert decode(described).tobytes() == decode(png).tobytes()
    assert suffix_of(described) == "png"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_that_have_no_white_are_refused(mode: str):
    with pytest.raises(ValueError, match="its pixels are 32-bit numbers"):
        decode(saved(Image.new(mode, (8, 8), 1000), "TIFF"))
    assert decode(saved(Image.new("I;16", (8, 8), 25_600), "TIFF")).getpixel((0, 0)) == (100, 100, 100)


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


def test_heic_is_named_with_what_reads_it_where_nothing_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats.cache_clear()
    with pytest.raises(ValueError, match=r"it is HEIC, .* pip install 'ood-lightning\[heic\]'"):
        decode(HEIC)
    formats.cache_clear()


def test_heic_is_read_where_its_plugin_is_installed(monkeypatch: pytest.MonkeyPatch):
    class Stub(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            self._size, self._mode = (6, 4), "RGB"
            self.tile = [ImageFile._Tile("raw", (0, 0, 6, 4), 12, ("RGB", 0, 1))]

    def register() -> None:
        Image.register_open("HEIF", Stub, lambda start: start[4:12] == b"ftypheic")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    formats.cache_clear()
    data = HEIC + bytes(range(72))
    assert decode(data).size == (6, 4)
    assert suffix_of(data) == "heic"
    formats.cache_clear()


@pytest.mark.parametrize("ending", ["PPM", "ICO", "TGA", "JPEG2000"])
def test_other_formats_are_refused_whatever_their_name(ending: str):
    with pytest.raises(ValueError, match="are none of JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"):
        decode(saved(Image.new("RGB", (16, 16)), ending))


@pytest.mark.parametrize("max_pixels", [100, 60])  # Pillow warns above the limit and refuses above twice the limit
def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, max_pixels: int):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", max_pixels)
    decode(noise_image(size=(6, 10)))
    with pytest.raises(ValueError, match="decompression bomb"):
        decode(noise_image(size=(11, 11)))


def test_palette_with_transparency_gives_no_warning(recwarn: pytest.WarningsRecorder):
    image = Image.new("P", (2, 2))
    image.putpalette([1, 2, 3] * 256)
    decode(saved(image, "PNG", transparency=bytes([0, 255])))
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]
