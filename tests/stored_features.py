"""Sets of which only features exist, under an encoder without a model: for runs on more images than could be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from ood_lightning.encoders.base import Encoder

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

DIM = 64
FINGERPRINT = "random0123456789"
PER_SHARD = 10_000
CENTRES = 500


@dataclass
class RandomEncoder(Encoder):
    """A text's feature is drawn by its checksum; of images there are only stored features."""

    name = "random"  # type: ignore[assignment]
    fingerprint = FINGERPRINT  # type: ignore[assignment]
    logit_scale = 20.0  # type: ignore[assignment]

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:
        from torchvision.transforms.functional import pil_to_tensor

        return pil_to_tensor

    def load(self, device: torch.device) -> None:
        pass

    def encode_image(self, image: Tensor) -> Tensor:
        raise NotImplementedError

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:
        import torch

        draws = (torch.Generator().manual_seed(crc32(text.encode())) for text in texts)
        return torch.stack([torch.randn(DIM, generator=draw) for draw in draws])


def write_set(parent: Path, cache: Path, name: str, role: str, n: int, kind: int) -> Path:
    """Store features of n images around the centres of a kind; returns the set's folder, whose tars are empty."""
    import torch
    from torch.nn.functional import normalize

    from ood_lightning.data.artifacts.features import FeatureFolder
    from ood_lightning.data.shards.manifest import Manifest, Shard

    folder = parent / name
    folder.mkdir(parents=True)
    sizes = [min(PER_SHARD, n - start) for start in range(0, n, PER_SHARD)]
    shards = tuple(
        Shard(f"{name}-{i:06d}.tar", size, 1, sha256(f"{name}{i}".encode()).hexdigest()) for i, size in enumerate(sizes)
    )
    for shard in shards:
        (folder / shard.path).write_bytes(b"0")
    manifest = Manifest(name, role, shards)  # type: ignore[arg-type]
    manifest.write(folder)

    centres = normalize(torch.randn(CENTRES, DIM, generator=torch.Generator().manual_seed(kind)), dim=1)
    draw = torch.Generator().manual_seed(crc32(name.encode()))
    stored = FeatureFolder(cache, manifest, FINGERPRINT)
    for shard in shards:
        of_image = torch.randint(CENTRES, (shard.samples,), generator=draw)
        image = normalize(centres[of_image] + 0.1 * torch.randn(shard.samples, DIM, generator=draw), dim=1)
        keys = [f"{shard.path}/{i:05d}" for i in range(shard.samples)]
        stored.write(shard, image.half(), of_image, keys, [])
    return folder
