"""How near `embed` comes to the rate of its image tower alone, on a GPU or a CPU.

python -m benchmarks.tower_rate [--model ViT-B-16] [--batch 256] [--batches 64] [--device cuda] [--compile]

Pictures are decoded already and lie in memory, as bytes: what is measured is copying, normalising, computing, copying
back and storing. The tower alone computes the same batch, which lies on the device, again and again.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import open_clip
import torch
from torch import Tensor

from benchmarks.random_model import random_model
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardPart
from ood_lightning.datamodules.embedding import encode_parts
from ood_lightning.encoders.openclip import OpenClip

SHARD_BATCHES = 16


@dataclass(frozen=True)
class Rates:
    """Pictures a second, best of three runs.

    Args:
        tower: of the image tower alone.
        embed: of all that `embed` does after decoding.
        share: of the tower's rate that `embed` reaches.
    """

    tower: float
    embed: float
    share: float


def rates(encoder: OpenClip, device: torch.device, batch: int, batches: int) -> Rates:
    """Measure both.

    Args:
        encoder: any, not loaded.
        device: that computes.
        batch: pictures in a batch.
        batches: of a run.
    """
    encoder.load(device)
    _, rest = split(encoder.transform)
    images = torch.randint(256, (batch, *encoder.image_shape), dtype=torch.uint8)
    prepared = rest(images.to(device)).clone()

    def tower() -> None:
        for _ in range(batches):
            encoder.encode_columns(prepared)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    def embed() -> None:
        with TemporaryDirectory() as cache:
            _embed(encoder, images, batches, rest, device, Path(cache))

    of_tower, of_embed = (batch * batches / _best_s(work) for work in (tower, embed))
    return Rates(of_tower, of_embed, of_embed / of_tower)


def _best_s(work: Callable[[], None]) -> float:
    work()  # compiles, chooses kernels, fills caches of memory
    took = []
    for _ in range(3):
        start = perf_counter()
        work()
        took.append(perf_counter() - start)
    return min(took)


def _embed(
    encoder: OpenClip, images: Tensor, batches: int, rest: Callable[[Tensor], Tensor], device: torch.device, cache: Path
) -> None:
    sizes = [min(SHARD_BATCHES, batches - start) for start in range(0, batches, SHARD_BATCHES)]
    shards = tuple(Shard(f"{i}.tar", len(images) * size, 1) for i, size in enumerate(sizes))
    manifest = Manifest("in-memory", "id", shards, root=cache)

    def parts() -> Iterator[ShardPart]:
        for shard, size in zip(shards, sizes, strict=True):
            for i in range(size):
                yield ShardPart(
                    shard=shard.path,
                    image=images,
                    label=torch.zeros(len(images), dtype=torch.int64),
                    keys=[f"{i}-{row}" for row in range(len(images))],
                    bad=[],
                    last=i + 1 == size,
                )

    lost = encode_parts(encoder, FeatureFolder(cache, manifest, "random"), shards, parts(), rest, device)
    assert not lost


def main() -> None:
    """Print the rates as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--batches", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()

    with TemporaryDirectory() as folder:
        encoder = random_model(Path(folder), open_clip.get_model_config(options.model), compile=options.compile)
        measured = rates(encoder, torch.device(options.device), options.batch, options.batches)
    print(dumps({"model": options.model, "precision": encoder.tower_precision, **asdict(measured)}))


if __name__ == "__main__":
    main()
