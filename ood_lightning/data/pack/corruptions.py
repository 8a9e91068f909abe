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

import PIL
from PIL import Image

from ood_lightning.data.pack.archives import Slice
from ood_lightning.data.pack.keys import keys_of
from ood_lightning.data.pack.packing import Bad, Sample
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.members import located
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


@dataclass(frozen=True, slots=True)
class Draw:
    """One picture with its corruption."""

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
    """That many of all (picture, corruption, severity), each at most once and all as likely; in the set's order.

    Args:
        manifest: the set to corrupt.
        corruptions: of :data:`NAMES`.
        severities: 1 to 5.
        samples: fewer if there are not so many.
        seed: of the draw.

    Raises:
        ShardContentError: a shard is damaged.
    """
    pictures = [(shard.path, sample) for shard in manifest.shards for sample in located(manifest.path(shard))]
    kinds = [(name, severity) for name in corruptions for severity in severities]
    total = len(pictures) * len(kinds)
    chosen = [divmod(n, len(kinds)) for n in sorted(Random(seed).sample(range(total), min(samples, total)))]
    keys = keys_of([f"{pictures[i][1].key}-{kinds[k][0]}-{kinds[k][1]}" for i, k in chosen])
    return [
        Draw(
            shard,
            sample.key,
            sample.picture,
            int(sample.label.read()) if sample.label else -1,
            key,
            *kinds[k],
        )
        for (i, k), key in zip(chosen, keys, strict=True)
        for shard, sample in [pictures[i]]
    ]


@dataclass(frozen=True)
class Corrupted:
    """Recipe of a shard of corrupted pictures.

    Args:
        draws: in order.
        source: fingerprint of the set that they are drawn from.
        seed: of the noise; what is done to a picture follows from it, the picture's place and the corruption alone.
        version: of the package.
    """

    draws: tuple[Draw, ...]
    source: str
    seed: int
    version: str

    @property
    def fingerprint(self) -> str:
        """Hash of the draws and of what may change the pixels."""
        rows = [(d.shard, d.source, d.key, d.label) for d in self.draws]
        about = [self.source, self.seed, self.version, PIL.__version__, rows]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.draws)

    def samples(self) -> Iterator[Sample | Bad]:
        """Each picture corrupted, or why it is left out."""
        for d in self.draws:
            try:
                image = decode(d.picture.read())
            except (ValueError, OSError) as error:
                yield Bad(f"{d.shard} {d.source}", str(error))
                continue
            told = f"{self.seed} {d.shard} {d.source} {d.corruption} {d.severity}"
            seed = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4])
            about = {"from": f"{d.shard} {d.source}", "corruption": d.corruption, "severity": d.severity}
            yield Sample(d.key, "jpg", corrupted(image, d.corruption, d.severity, seed), d.label, about)


def corrupted(image: Image.Image, corruption: str, severity: int, seed: int) -> bytes:
    """JPEG of the central 224 x 224 of an RGB picture, corrupted; the same seed gives the same bytes."""
    import numpy as np
    from imagecorruptions import corrupt

    state = np.random.get_state()  # noqa: NPY002 - the package draws from numpy's global generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        own = {"seed": seed} if corruption in SEEDED else {}
        pixels = corrupt(np.asarray(central(image)), severity=severity, corruption_name=corruption, **own)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def central(image: Image.Image) -> Image.Image:
    """The shorter side to 256, then the central 224 x 224, rounded as torchvision does."""
    short = min(image.size)
    width, height = (SIDE if side == short else SIDE * side // short for side in image.size)
    left, top = round((width - CROP) / 2), round((height - CROP) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + CROP, top + CROP))
