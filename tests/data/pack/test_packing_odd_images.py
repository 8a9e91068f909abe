"""Images of every form: kept as they are where readers decode them, else named."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from packed_sets import PIXEL, packed, picture, run
from PIL import Image

from ood_lightning.data.shards.decode import decode, suffix_of


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", exif=exif)


def animated(form: str) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 90, 250)]
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


ODD = {
    "one_pixel.png": PIXEL, "one_pixel.jpg": picture("JPEG", size=(1, 1)),
    "cmyk.jpg": picture("JPEG", "CMYK"), "grey.jpg": picture("JPEG", "L"),
    "sixteen_bit.png": picture("PNG", "I;16"), "palette.png": picture("PNG", "P"), "one_bit.png": picture("PNG", "1"),
    "alpha.webp": picture("WEBP", "RGBA"), "rotated.jpg": rotated(), "animated.webp": animated("WEBP"),
    "animated.png": animated("PNG"), "png_in_disguise.jpg": picture("PNG"), "progressive.jfif": picture("JPEG"),
    "two_views.jpg": animated("MPO"),  # a JPEG with another one behind it, as some cameras write
    "moving.gif": animated("GIF"), "bitmap.bmp": picture("BMP"), "scan.tif": picture("TIFF"),
    "small.avif": picture("AVIF"),
}  # fmt: skip
BAD = {
    "cut.jpg": picture("JPEG", size=(300, 200))[:-900], "cut.png": picture("PNG", size=(300, 200))[:-900],
    "empty.jpg": b"", "words.png": b"no picture", "drawing.svg": b"<svg/>", "pixels.ppm": picture("PPM"),
    "measured.tif": picture("TIFF", "F"), "bomb.png": picture("PNG", "1", (14_000, 14_000)),
}  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, data in {**ODD, **BAD}.items():
        (tmp_path / "in" / name).write_bytes(data)
    return tmp_path / "in"


def test_more_bad_pictures_than_allowed_are_refused_and_listed(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert run(source, out, "--max_bad_samples=7", role="ood") == 2
    said = capsys.readouterr().err
    assert "8 pictures cannot be stored, 7 allowed by max_bad_samples" in said
    assert said.count("\n  '") == 5, "the first few"
    assert not (out / "manifest.json").exists()
    assert {line.split("'")[1] for line in (out / ".pack/bad.txt").read_text().splitlines()} == set(BAD)


def test_odd_pictures_are_kept_as_they_are_and_bad_ones_are_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert run(source, out, "--max_bad_samples=8", role="ood") == 1
    said = capsys.readouterr().out
    assert all(f"left out: {name!r}: " in said for name in BAD)
    assert "18 pictures in 1 shard, no class names, 8 left out" in said
    assert "exceeds limit" in said  # the bomb
    assert [left["path"] for left in json.loads((out / "pack.json").read_text())["left_out"]] == sorted(BAD)

    images = packed(out)
    assert sorted(data for _, data, _ in images) == sorted(ODD.values())
    assert all(decode(data).mode == "RGB" for _, data, _ in images)
    with tarfile.open(out / "s-000000.tar") as tar:
        assert "png_in_disguise.png" in tar.getnames()


def test_a_source_of_bad_pictures_alone_makes_no_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"no picture")
    assert run(tmp_path / "in", tmp_path / "out", "--max_bad_samples=1") == 2
    assert "set 's': the source holds no pictures that can be read" in capsys.readouterr().err
    assert not (tmp_path / "out/manifest.json").exists()


def test_without_verifying_a_cut_picture_is_not_noticed_but_its_header_is_read(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for name in ("cut.jpg", "words.png", "bomb.png"):
        (tmp_path / "in" / name).write_bytes(BAD[name])
    assert run(tmp_path / "in", tmp_path / "out", "--verify=false", "--max_bad_samples=2") == 1
    assert [key for key, _, _ in packed(tmp_path / "out")] == ["cut"]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_quick_check_refuses_what_decoding_refuses(mode: str, progressive: bool):
    whole = picture("JPEG", mode, (70, 50), progressive=progressive)

    def refuses(look: Any, data: bytes) -> bool:
        try:
            look(data)
        except ValueError:
            return True
        return False

    cuts = [whole[:n] for n in range(0, len(whole), 13)]
    assert [refuses(suffix_of, cut) for cut in cuts] == [refuses(decode, cut) for cut in cuts]
    assert any(refuses(decode, cut) for cut in cuts)
    assert not refuses(suffix_of, whole)
