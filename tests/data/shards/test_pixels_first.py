"""From encoded pictures to bytes by shorter ways: bit for bit what Pillow and torchvision's steps make."""

import warnings

import numpy as np
import pytest
import torch
from noise_images import saved
from open_clip.transform import image_transform
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.pixels import pixels, split
from ood_lightning.encoders.preprocess import preset, with_fast_resize

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MODEL = image_transform(224, False, MEAN, STD)


def noise(width: int, height: int) -> Image.Image:
    """Every level, and edges everywhere: whatever filters reach another pixel shows."""
    draw = np.random.default_rng(width * 7919 + height)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    return saved(image, "JPEG", **options)


EXIF = Image.Exif()
EXIF[0x0112] = 6  # lying on its side
PICTURES = {
    "across": jpeg(noise(500, 375)),
    "upright": jpeg(noise(333, 500)),
    "odd": jpeg(noise(227, 301)),
    "tiny": jpeg(noise(3, 2)),
    "one pixel": jpeg(noise(1, 1)),
    "a line": jpeg(noise(300, 1)),
    "as large as the model's": jpeg(noise(224, 224)),
    "large": jpeg(noise(1201, 907)),
    "4:4:4": jpeg(noise(101, 67), subsampling=0),
    "4:2:2": jpeg(noise(101, 67), subsampling=1),
    "progressive": jpeg(noise(101, 67), progressive=True),
    "restarts": jpeg(noise(101, 67), restart_marker_blocks=2),
    "of low quality": jpeg(noise(101, 67), quality=5),
    "RGB inside": jpeg(noise(101, 67), keep_rgb=True),
    "grey": jpeg(noise(300, 260).convert("L")),
    "CMYK": jpeg(noise(300, 260).convert("CMYK")),
    "on its side": jpeg(noise(300, 260), exif=EXIF),
    "comment": jpeg(noise(40, 30), comment=b"x" * 60_000),
    "PNG": saved(noise(300, 260), "PNG"),
    "palette": saved(noise(300, 260).convert("P"), "PNG"),
    "transparent": saved(noise(300, 260).convert("RGBA"), "PNG"),
    "WebP": saved(noise(300, 260), "WEBP"),
}
CHAINS = {
    "model": MODEL,
    "bilinear": preset("legacy-bilinear224", 224, "x"),
    "256 to 224": preset("openood-256", 224, "x"),
    "squash": image_transform(64, False, (0.5,) * 3, (0.5,) * 3, resize_mode="squash"),
    "fast": with_fast_resize(MODEL, "x"),
    "fast squash": with_fast_resize(image_transform(64, False, MEAN, STD, resize_mode="squash"), "x"),
}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_decoded_picture_has_pillows_bits(name: str):
    image = pixels(PICTURES[name])
    assert image.dtype == torch.uint8
    assert image.equal(pil_to_tensor(decode(PICTURES[name])))


@pytest.mark.parametrize("chain", sorted(CHAINS))
@pytest.mark.parametrize("name", sorted(PICTURES))
def test_bytes_become_what_the_whole_transform_makes_of_the_picture(name: str, chain: str):
    first, rest = split(CHAINS[chain])
    assert rest(first(PICTURES[name])[None])[0].equal(CHAINS[chain](decode(PICTURES[name])))


def outcome(read: object, data: bytes) -> Tensor | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(data)  # type: ignore[operator, no-any-return]
    except ValueError as error:
        return str(error)


def same(one: Tensor | str, other: Tensor | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.equal(other)


@pytest.mark.parametrize("name", ["grey", "progressive", "restarts", "4:4:4"])
def test_what_is_damaged_is_refused_in_the_same_words_and_else_has_the_same_bits(name: str):
    whole = PICTURES[name]
    draw = np.random.default_rng(0)
    damaged = [whole[:length] for length in range(0, len(whole), max(len(whole) // 80, 1))]
    damaged += [whole[:-2], whole[:-1], whole + b"tail"]
    for _ in range(120):
        changed = bytearray(whole)
        changed[draw.integers(len(whole))] = draw.integers(256)
        damaged.append(bytes(changed))

    decoded = [outcome(lambda data: pil_to_tensor(decode(data)), data) for data in damaged]
    assert sum(isinstance(result, str) for result in decoded) > 50
    for data, expected in zip(damaged, decoded, strict=True):
        assert same(outcome(pixels, data), expected)


def test_the_rest_gives_the_memory_of_its_last_batch_again():
    first, rest = split(MODEL)
    images = torch.stack([first(PICTURES[name]) for name in ("across", "upright", "odd")])
    expected = rest(images).clone()
    part = rest(images[1:])
    assert part.equal(expected[1:])
    assert rest(images).equal(expected)
    assert part.data_ptr() == rest(images[:1]).data_ptr()
    assert rest(torch.cat([images, images])).equal(torch.cat([expected, expected]))
    assert rest(images[..., :100]).equal(expected[..., :100])
