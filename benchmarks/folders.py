"""What a folder of many small files costs as a set: to list it, to keep the list, and to read all of it once.

python -m benchmarks.folders [--files 20000] [--repeats 3]

Files of 16 x 16 pixels in folders of 100. Seconds are of the processor, the least of all repeats, with the files'
entries in the system's cache; a network's answers come on top. Memory is what Python allocates: kept by the manifest,
and at most while listing.
"""

import argparse
import io
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch
from PIL import Image
from torch import Tensor

from ood_lightning.data.shards.pixels import pixels
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts
from ood_lightning.functional.near_groups import near_groups

DIM = 512


def write_files(folder: Path, n_files: int) -> None:
    """Pictures that differ in their colours, all but a few of them."""
    for i in range(n_files):
        path = folder / f"{i // 100:04d}" / f"{i:06d}.png"
        path.parent.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), (i % 256, i // 256 % 256, 90)).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())


def listing_s(folder: Path, repeats: int) -> float:
    """Processor seconds of one listing."""
    times = []
    for _ in range(repeats):
        start = process_time()
        read_manifest(str(folder))
        times.append(process_time() - start)
    return min(times)


def main() -> None:
    """Print one line for each thing that was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)

    with TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, options.files)
        seconds = listing_s(folder, options.repeats)
        print(f"list: {seconds:.2f} s, {seconds / options.files * 1e6:.1f} us a file")

        tracemalloc.start()
        manifest = read_manifest(str(folder))
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"the list: {kept / 2**20:.1f} MiB kept, {peak / 2**20:.1f} MiB at most")

        start = process_time()
        n_images = sum(len(part["keys"]) for part in ShardParts(manifest, list(manifest.shards), pixels, 256))
        print(f"read: {process_time() - start:.2f} s for {n_images:,} pictures")

    features: Tensor = torch.nn.functional.normalize(torch.randn(options.files, DIM), dim=1).half()
    start = process_time()
    n_groups = len(near_groups(features, 0.98).unique())
    print(f"near-duplicates: {process_time() - start:.2f} s, {n_groups:,} groups")


if __name__ == "__main__":
    main()
