"""A transform in two parts gives the bits of the whole."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_images import saved
from open_clip.transform import image_transform
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, ToTensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.pixels import split
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.preprocess import preset, with_fast_resize
from ood_lightning.errors import EncoderError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WHOLE = {
    "model": image_transform(224, False, MEAN, STD),
    "squash": image_transform(64, False, (0.5,) * 3, (0.5,) * 3, resize_mode="squash"),
    "legacy-bilinear224": preset("legacy-bilinear224", 224, "x"),
    "fast": with_fast_resize(image_transform(224, False, MEAN, STD), "x"),
}


def png(image: Image.Image) -> bytes:
    return saved(image, "PNG", compress_level=1)


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Smooth noise, upright, across and small, with every level."""
    draw = np.random.default_rng(0)
    sizes = [(500, 375), (333, 500), (100, 120), (224, 224)]
    coarse = [Image.fromarray(draw.integers(0, 256, (h // 9, w // 9, 3), dtype=np.uint8)) for w, h in sizes]
    return [small.resize(size, Image.Resampling.BICUBIC) for small, size in zip(coarse, sizes, strict=True)]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_the_two_parts_give_the_bits_of_the_whole(name: str, photographs: list[Image.Image]):
    first, rest = split(WHOLE[name])
    pixels = [first(png(picture)) for picture in photographs]
    assert {p.dtype for p in pixels} == {torch.uint8}
    expected = torch.stack([WHOLE[name](picture) for picture in photographs])
    torch.testing.assert_close(rest(torch.stack(pixels)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("transform", [ToTensor(), Compose([CenterCrop(4), ToTensor()]), Compose([]), lambda p: p])
def test_a_transform_that_ends_otherwise_stays_whole(transform: object):
    first, rest = split(transform)  # type: ignore[arg-type]
    assert first.transforms[-1] is transform  # type: ignore[attr-defined]
    images = torch.rand(2, 3, 4, 4)
    assert rest(images) is images


def test_an_empty_part_passes(photographs: list[Image.Image]):
    assert split(WHOLE["model"]).rest(torch.empty(0, 3, 0, 0)).shape == (0, 3, 0, 0)


def test_fast_resizing_is_exact_but_for_the_last_level_of_few_values(photographs: list[Image.Image]):
    exact, fast = split(WHOLE["model"]).first, split(WHOLE["fast"]).first
    differences = torch.stack([(exact(png(p)).int() - fast(png(p)).int()).abs() for p in photographs])
    assert differences.max() <= 2
    assert 0 < (differences > 0).float().mean() < 0.02
    assert exact(png(photographs[3])).equal(fast(png(photographs[3])))  # no resizing, no difference


@pytest.mark.slow
def test_features_of_fast_resizing_are_within_the_stated_tolerance(photographs: list[Image.Image]):
    features = []
    for resize in ("exact", "fast"):
        encoder = OpenClip("builtin:pictograms/model", resize=resize)  # type: ignore[arg-type]
        first, rest = split(encoder.transform)
        images = torch.stack([first(png(photograph)) for photograph in photographs])
        features.append(encoder.encode_image(rest(images)).double())

    cosines = (features[0] * features[1]).sum(1)
    assert 0.9999 <= cosines.min() < 1


def test_jpegs_go_through_it(photographs: list[Image.Image]):
    jpeg = io.BytesIO(saved(photographs[0], "JPEG"))
    assert WHOLE["fast"](Image.open(jpeg).convert("RGB")).shape == (3, 224, 224)


def test_features_of_fast_resizing_are_kept_apart(tiny_model: Path, photographs: list[Image.Image]):
    exact, fast = (OpenClip(f"local-dir:{tiny_model}", resize=way) for way in ("exact", "fast"))  # type: ignore[arg-type]
    assert exact.fingerprint == OpenClip(f"local-dir:{tiny_model}").fingerprint != fast.fingerprint
    assert "Fast" in str(fast.transform)
    assert "Fast" not in str(exact.transform)


def test_preprocessing_without_a_plain_resize_is_refused():
    with pytest.raises(EncoderError, match="no plain resize: use resize: exact"):
        with_fast_resize(Compose([ToTensor()]), "x")


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_turned_pictures_give_the_bits_of_their_upright_selves(name: str, photographs: list[Image.Image]):
    exif = Image.Exif()
    exif[0x0112] = 8
    jpeg = io.BytesIO()
    photographs[0].save(jpeg, "JPEG", exif=exif)
    upright = png(decode(jpeg.getvalue(), upright=True))
    as_said = split(WHOLE[name], upright=True).first(jpeg.getvalue())
    assert torch.equal(as_said, split(WHOLE[name]).first(upright))
    assert not torch.equal(as_said, split(WHOLE[name]).first(jpeg.getvalue()))
