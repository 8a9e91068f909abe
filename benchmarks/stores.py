"""What checksums cost: seconds of hashing beside those of reading a set's stored features, as every run does first.

python -m benchmarks.stores [--images 100000] [--dim 1024] [--repeats 5]

Reading ends with all features in memory, and compares the hash of every tensor, the keys, and the length of each
vector. Seconds are of the processor, which hold on a busy machine too; waiting for a disk comes on top of reading.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import torch
from torch.nn.functional import normalize
from xxhash import xxh3_128

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest, Shard

PER_SHARD = 1000


def written(folder: Path, n_images: int, dim: int) -> FeatureFolder:
    shards = tuple(Shard(f"s-{i:06d}.tar", PER_SHARD, 1) for i in range(n_images // PER_SHARD))
    stored = FeatureFolder(folder, Manifest("x", "id", shards), "encoder")
    image = normalize(torch.randn(PER_SHARD, dim), dim=1).half()
    for shard in shards:
        keys = [f"{shard.path[:-4]}-{row:05d}" for row in range(PER_SHARD)]
        stored.write(shard, image, torch.zeros(PER_SHARD, dtype=torch.int64), keys, [])
    return stored


def seconds(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = process_time()
        call()
        times.append(process_time() - start)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        stored = written(Path(folder), options.images, options.dim)
        image = stored.read().image.to("cpu").view(torch.uint8).flatten().numpy().data

        hashing = seconds(lambda: xxh3_128(image).hexdigest(), options.repeats)
        reading = seconds(stored.read, options.repeats)

    print(f"{options.images:,} images, {options.dim} dimensions: {image.nbytes / 1e6:.0f} MB of features")
    print(f"hash {hashing:.3f} s ({image.nbytes / hashing / 1e9:.1f} GB/s), read {reading:.3f} s with it")
    print(f"the hash is {hashing / reading:.1%} of reading")


if __name__ == "__main__":
    main()
