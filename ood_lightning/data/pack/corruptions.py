"""ImageNet-C's corruptions of any set: imagecorruptions' door. Needs no torch.

Source: Hendrycks and Dietterich, ICLR 2019, https://arxiv.org/abs/1903.12261, as their script does it: the shorter side
to 256 (bilinear), the central 224 x 224, the corruption, JPEG of quality 85.
Differs: the package `imagecorruptions-imaug` computes them without ImageMagick (motion blur, snow) and for any size
(elastic transform); its strengths are those of ImageNet-C. A picture is drawn with its corruption and severity.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from random import Random
from typing import NamedTuple

import PIL
from PIL import Image

from ood_lightning.data.pack.keys import keys_of
from ood_lightning.data.pack.tar_writer import PackedImage, SkippedImage
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.samples import located
from ood_lightning.data.shards.tars import Slice, label_of
from ood_lightning.errors import SettingsError

PACKAGE = "imagecorruptions-imaug"
NAMES = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
SEEDED = ("impulse_noise", "glass_blur")  # draw from a generator of their own, the others from numpy's
SIDE, CROP, QUALITY = 256, 224, 85


def version() -> str:
    """Version of the package that corrupts.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise SettingsError(
            f"`data corrupt` needs the package {PACKAGE}: pip install 'ood-lightning[corrupt]'"
        ) from None


class Draw(NamedTuple):
    """One image of a set with its corruption.

    Attributes:
        shard: path of its shard in the manifest.
        source: its key there.
        picture: its bytes there.
        label: its class number; -1: none.
        key: that it gets.
        corruption: one of :data:`NAMES`.
        severity: 1 to 5.
    """

    shard: str
    source: str
    picture: Slice
    label: int
    key: str
    corruption: str
    severity: int


def drawn(
    manifest: Manifest, corruptions: Sequence[str], severities: Sequence[int], samples: int, seed: int
) -> list[Draw]:
    """That many of all (image, corruption, severity), each at most once and all as likely; in the set's order.

    Args:
        manifest: the set to corrupt.
        corruptions: of :data:`NAMES`.
        severities: 1 to 5.
        samples: fewer if there are not so many.
        seed: of the draw.

    Raises:
        ShardContentError: a shard is damaged.
    """
    images = [(shard.path, image) for shard in manifest.shards for image in located(manifest.container(shard))]
    kinds = [(corruption, severity) for corruption in corruptions for severity in severities]
    n_all = len(images) * len(kinds)
    numbers = sorted(Random(seed).sample(range(n_all), min(samples, n_all)))

    # all are numbered image by image, and of each image kind by kind
    chosen = [(*images[number // len(kinds)], *kinds[number % len(kinds)]) for number in numbers]
    keys = keys_of([f"{image.key}-{corruption}-{severity}" for _, image, corruption, severity in chosen])

    return [
        Draw(shard, image.key, image.picture, label_of(image), key, corruption, severity)
        for (shard, image, corruption, severity), key in zip(chosen, keys, strict=True)
    ]


@dataclass(frozen=True)
class Corrupted:
    """Recipe of a shard of corrupted images.

    Args:
        draws: in order.
        source: fingerprint of the set that they are drawn from.
        seed: of the noise; what is done to an image follows from it, the image's shard and key and the corruption
            alone.
        version: of the package.
        upright: turn images as their EXIF says before anything else.
    """

    draws: tuple[Draw, ...]
    source: str
    seed: int
    version: str
    upright: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of the draws and of what may change the pixels."""
        content = [
            self.source,
            self.seed,
            self.version,
            PIL.__version__,
            [(draw.shard, draw.source, draw.key, draw.label) for draw in self.draws],  # a key names its corruption
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.draws)

    def images(self) -> Iterator[PackedImage | SkippedImage]:
        """Each image corrupted, or why it is left out."""
        for draw in self.draws:
            name = f"{draw.shard} {draw.source}"
            try:
                image = decode(draw.picture.read(), upright=self.upright)
            except (ValueError, OSError) as error:
                yield SkippedImage(name, str(error))
                continue

            words = f"{self.seed} {name} {draw.corruption} {draw.severity}"
            seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4])
            data = corrupted(image, draw.corruption, draw.severity, seed)
            metadata = {"from": name, "corruption": draw.corruption, "severity": draw.severity}
            yield PackedImage(draw.key, "jpg", data, draw.label, metadata)


def corrupted(image: Image.Image, corruption: str, severity: int, seed: int) -> bytes:
    """JPEG of the central 224 x 224 of an RGB image, corrupted; the same seed gives the same bytes."""
    import numpy as np
    from imagecorruptions import corrupt

    options = {"seed": seed} if corruption in SEEDED else {}
    state = np.random.get_state()  # noqa: NPY002 - the package draws from numpy's global generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        pixels = corrupt(np.asarray(central(image)), severity=severity, corruption_name=corruption, **options)
    finally:
        np.random.set_state(state)  # noqa: NPY002

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def central(image: Image.Image) -> Image.Image:
    """The shorter side to 256, then the central 224 x 224, rounded as torchvision does."""
    shorter = min(image.size)
    width, height = (SIDE if side == shorter else SIDE * side // shorter for side in image.size)
    left = round((width - CROP) / 2)
    top = round((height - CROP) / 2)
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + CROP, top + CROP))
