"""Pictures that are no ordinary photographs, through the preprocessing of models and of published code."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shard_files import write_tar

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, read_manifest
from ood_lightning.data.shards.pixels import Decoded
from ood_lightning.data.shards.reader import ShardParts
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.preprocess import preset
from ood_lightning.errors import ShardContentError


def saved(image: Image.Image, ending: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=ending, **options)
    return buffer.getvalue()


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
    model = preprocess == "model"
    transform = OpenClip(f"local-dir:{tiny_model}").transform if model else preset(preprocess, 224, "x")
    found = transform(decode(ODD[name]))
    assert found.shape == ((3, 16, 16) if model else (3, 224, 224))
    assert torch.isfinite(found).all()


def test_grey_of_sixteen_bits_is_the_picture_of_eight():
    eight = np.arange(256, dtype=np.uint16).reshape(16, 16)
    found = decode(saved(Image.fromarray(eight * 256 + 200), "PNG"))
    assert found.mode == "RGB"
    assert (np.asarray(found) == eight[..., None]).all()


@pytest.mark.parametrize("ending", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(ending: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = saved(frames[0], ending, save_all=True, append_images=frames[1:], **({} if ending == "PNG" else QUALITY))
    assert Image.open(io.BytesIO(data)).n_frames == 3  # type: ignore[attr-defined]
    assert decode(data).getpixel((4, 4)) == (255, 0, 0)


QUALITY = {"lossless": True}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png_of(30_000, 30_000), "decompression bomb"),
        (png_of(1, 65_535), "1 x 65535 pixels: over 500 times as long as wide"),
        (png_of(65_535, 100), "65535 x 100 pixels"),
        (b"", "are no JPEG, PNG or WebP"),
    ],
)
def test_a_small_file_that_would_fill_the_memory_is_named_or_counted(tmp_path: Path, data: bytes, words: str):
    assert len(data) < 250_000
    write_tar(tmp_path / "x-000.tar", [("a.png", ODD["palette"]), ("b.png", data), ("c.png", ODD["palette"])])
    manifest = read_manifest(str(tmp_path / "x-{000..000}.tar"))

    def read(limit: int) -> list[str]:
        parts = ShardParts(manifest, list(manifest.shards), Decoded(lambda p: torch.zeros(3, *p.size)), 8, limit)
        return [text for part in parts for text in (*part["keys"], *part["bad"])]

    with pytest.raises(ShardContentError, match=rf"x-000\.tar: the picture 'b' cannot be decoded \(.*{words}"):
        read(0)
    kept = read(1)
    assert kept[:2] == ["a", "c"]
    assert kept[2].startswith("b: ")


def test_a_picture_is_as_long_as_it_may_be():
    assert decode(png_of(1, 500)).size == (1, 500)


def test_nothing_of_a_tar_is_written_to_disk(tmp_path: Path):
    """Members are read in memory: names with `..`, absolute paths and links lead nowhere."""
    import tarfile

    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set/x-000.tar", "w") as tar:
        for name in ("../out.png", f"{tmp_path}/absolute.png", "fine.png"):
            info = tarfile.TarInfo(name)
            info.size = len(ODD["palette"])
            tar.addfile(info, io.BytesIO(ODD["palette"]))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind!r}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    manifest: Manifest = read_manifest(str(tmp_path / "set/x-{000..000}.tar"))
    (part,) = ShardParts(manifest, list(manifest.shards), Decoded(lambda p: torch.zeros(3, *p.size)), 8)
    assert part["keys"] == ["../out", f"{tmp_path}/absolute", "fine"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
