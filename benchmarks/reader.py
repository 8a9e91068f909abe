"""What the shard reader gains over a plain `DataLoader`: nothing on this machine's shards, much on those of a server.

python -m benchmarks.reader [--pictures FOLDER] [--count 200] [--repeats 7]

Both ways read the same shards with the same checks, decoder and pixels, and the same share of shards for each worker.
The plain way is an `IterableDataset` over decoded images, which torch collates. Without a folder of photographs, noise
of about ImageNet's size and file length is made.

The ways take turns, and the ratios are of medians. CPU seconds, user and system of all processes, hold on a busy
machine too. The shards of the last table come from a web server, which sends `--rate` megabytes a second; our reader
fetches the next shard while it reads one.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from time import sleep
from typing import NamedTuple

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benchmarks.loader import photographs, timed, write
from ood_lightning.data.remote.fetch import CACHE_VARIABLE
from ood_lightning.data.shards.manifest import Manifest, plan
from ood_lightning.data.shards.pixels import Split, split
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.preprocess import preset
from ood_lightning.hashes import sha256_of

BATCH = 64


class Image(NamedTuple):
    """A decoded image, as the plain way hands it to torch's collation."""

    image: Tensor  # (3, H, W)
    label: int
    key: str


class PlainImages(IterableDataset[Image]):
    """Images of a worker's shards, one at a time."""

    def __init__(self, manifest: Manifest, read: Callable[[bytes], Tensor]) -> None:
        self.manifest, self.read = manifest, read

    def __iter__(self) -> Iterator[Image]:
        worker = get_worker_info()
        assert worker is not None

        for shard in plan(self.manifest.shards, worker.num_workers)[worker.id]:
            path = self.manifest.path(shard)
            assert sha256_of(path) == shard.sha256
            for sample in read_samples(path):
                yield Image(self.read(sample.data), sample.label, sample.key)


def plain(manifest: Manifest, pixels: Split, workers: int) -> Iterator[Tensor]:
    """Batches by torch alone."""
    batches = DataLoader(
        PlainImages(manifest, pixels.first), BATCH, num_workers=workers, multiprocessing_context="fork"
    )
    return (pixels.rest(batch.image) for batch in batches)


def ours(manifest: Manifest, pixels: Split, workers: int) -> Iterator[Tensor]:
    """Batches as `embed` reads them."""
    parts = ShardParts(manifest, list(manifest.shards), pixels.first, BATCH)
    return (pixels.rest(part["image"]) for part in loader(parts, workers) if part["keys"])


class SlowFiles(SimpleHTTPRequestHandler):
    """Files of a folder, each sent after the time that a line of that speed takes."""

    bytes_per_s = 1e9

    def do_GET(self) -> None:
        """Wait, then send."""
        sleep(Path(self.translate_path(self.path)).stat().st_size / self.bytes_per_s)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def compare(title: str, manifest: Manifest, pixels: Split, repeats: int) -> None:
    """Print seconds of both ways and their ratios, for one worker and for two."""
    table = Table(title, "workers", "wall s", "plain", "ratio", "CPU s", "plain", "ratio", box=SIMPLE)

    for workers in (1, 2):
        seconds: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
        for turn in range(repeats + 1):
            for name, way in (("ours", ours), ("plain", plain)):
                with tempfile.TemporaryDirectory() as cache:  # of what is fetched, empty each time
                    os.environ[CACHE_VARIABLE] = cache
                    took = timed(partial(way, manifest, pixels, workers), manifest.n_samples)
                if turn:  # the first turn warms up caches of files and of memory
                    seconds[name].append(took)

        wall, cpu = ([median(run[i] for run in seconds[name]) for name in ("ours", "plain")] for i in (0, 1))
        row = ["", str(workers)]
        for one, other in (wall, cpu):
            row += [f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}"]
        table.add_row(*row)

    Console().print(table)


def main() -> None:
    """Print a table for pictograms, one for photographs, and one for photographs from a slow server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", help="folder of JPEG photographs")
    parser.add_argument("--count", type=int, default=200, help="photographs to read")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rate", type=float, default=20, help="megabytes a second that the server sends")
    options = parser.parse_args()

    torch.set_num_threads(1)
    pictograms = read_manifest("builtin:pictograms/shards/id_train")
    small = split(OpenClip("builtin:pictograms/model").transform)
    compare(f"{pictograms.n_samples} pictograms", pictograms, small, options.repeats)

    large = split(preset("legacy-bilinear224", 224, "any"))
    with tempfile.TemporaryDirectory() as folder:
        shards = write(photographs(options.pictures, options.count), Path(folder), n_shards=8)
        compare(f"{options.count} photographs", shards, large, options.repeats)

        shards.write(Path(folder))
        SlowFiles.bytes_per_s = options.rate * 1e6
        handler = partial(SlowFiles, directory=folder)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            remote = read_manifest(f"http://127.0.0.1:{server.server_address[1]}")
            compare(f"the same at {options.rate:g} MB/s", remote, large, options.repeats)
            server.shutdown()


if __name__ == "__main__":
    main()
