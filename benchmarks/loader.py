"""Reading pictures: ours against PIL with a DataLoader over loose files, and against bare webdataset.

python -m benchmarks.loader [--pictures FOLDER] [--count 2000] [--workers 2]

The same pictures to the same tensors, in one run, each way in turn; without a folder of photographs, noise of four
octaves of about ImageNet's size and file length is made. CPU seconds are those of all processes. Decoding means: from
the bytes of a picture to the numbers that the model takes, resizing and normalisation included.
"""

import argparse
import io
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
import webdataset as wds
from open_clip.transform import image_transform
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import peak_mib
from ood_lightning.data.shards import reader as shards
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.pixels import split
from ood_lightning.encoders.preprocess import with_fast_resize
from ood_lightning.hashes import sha256_of

BATCH = 64
Transform = Callable[[Image.Image], Tensor]


def noise(seed: int) -> bytes:
    """A JPEG of 500 x 375 pixels and some 110 kB."""
    draw = np.random.default_rng(seed)
    picture = np.full((375, 500, 3), 128.0)
    for octave, strength in ((64, 60), (16, 40), (4, 22), (1, 10)):
        small = draw.normal(0, strength, (375 // octave + 1, 500 // octave + 1, 3))
        picture += small.repeat(octave, 0).repeat(octave, 1)[:375, :500]
    buffer = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=87)
    return buffer.getvalue()


def photographs(folder: str | None, count: int) -> list[bytes]:
    """`count` JPEGs, over again where there are fewer."""
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"}) if folder else []
    made = [path.read_bytes() for path in files] or [noise(seed) for seed in range(100)]
    return [made[i % len(made)] for i in range(count)]


def write(pictures: list[bytes], folder: Path, n_shards: int) -> Manifest:
    """Loose files, and the same in tars."""
    rows = []
    for s in range(n_shards):
        path = folder / f"s-{s:03d}.tar"
        with wds.TarWriter(str(path), mtime=0) as tar:
            for i in range(s, len(pictures), n_shards):
                (folder / f"{i:06d}.jpg").write_bytes(pictures[i])
                tar.write({"__key__": f"{i:06d}", "jpg": pictures[i]})
        rows.append(Shard(path.name, len(range(s, len(pictures), n_shards)), path.stat().st_size, sha256_of(path)))
    return Manifest("photographs", "id", tuple(rows), root=folder)


class Loose(Dataset[Tensor]):
    """Files as every tutorial reads them."""

    def __init__(self, files: list[Path], transform: Transform) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.open(self.files[index]).convert("RGB"))


def from_sample(sample: dict[str, bytes], transform: Transform) -> Tensor:
    return transform(Image.open(io.BytesIO(sample["jpg"])).convert("RGB"))


def bare(manifest: Manifest, transform: Transform, workers: int) -> Iterator[Tensor]:
    urls = [str(manifest.path(shard)) for shard in manifest.shards]
    read = wds.WebDataset(urls, shardshuffle=False, empty_check=False).map(partial(from_sample, transform=transform))
    return iter(wds.WebLoader(read.batched(BATCH, collation_fn=torch.stack), batch_size=None, num_workers=workers))


def ours(manifest: Manifest, transform: Transform, workers: int) -> Iterator[Tensor]:
    """As `embed` reads."""
    first, rest = split(transform)
    parts = shards.ShardParts(manifest, list(manifest.shards), first, BATCH)
    return (rest(part["image"]) for part in shards.loader(parts, workers) if len(part["keys"]))


def cpu_s() -> float:
    """Of this process and of those that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def timed(read: Callable[[], Iterator[Tensor]], count: int) -> tuple[float, float]:
    """Wall and CPU seconds of reading everything."""
    wall, cpu = time.perf_counter(), cpu_s()
    seen = sum(len(batch) for batch in read())
    assert seen == count
    return time.perf_counter() - wall, cpu_s() - cpu


def decoding_share(manifest: Manifest, transform: Transform, workers: int) -> float:
    """Share of all CPU time that decoding and the transform take."""
    spent = multiprocessing.Value("d", 0.0)

    def clocked(work: Callable[..., object]) -> Callable[..., object]:
        def run(argument: object) -> object:
            began = time.thread_time()
            done = work(argument)
            with spent.get_lock():
                spent.value += time.thread_time() - began
            return done

        return run

    first, rest = split(transform)
    parts = shards.ShardParts(manifest, list(manifest.shards), clocked(first), BATCH)  # type: ignore[arg-type]
    cpu = cpu_s()
    for part in shards.loader(parts, workers):
        clocked(rest)(part["image"])  # type: ignore[arg-type]
    return spent.value / (cpu_s() - cpu)


def least_s(pictures: list[bytes], transform: Transform) -> float:
    """CPU seconds a picture that Pillow takes to decode and to resize, and nothing else."""
    resize = transform.transforms[0]  # type: ignore[attr-defined]
    began = time.thread_time()
    for data in pictures:
        resize(Image.open(io.BytesIO(data)).convert("RGB"))
    return (time.thread_time() - began) / len(pictures)


def memory(pictures: list[bytes], folder: Path, n_shards: int, read: Callable[[bytes], Tensor]) -> float:
    """MiB that reading takes at its peak, of a set with one shard under `n_shards` names."""
    folder.mkdir()
    manifest = write(pictures, folder, 1)
    first = manifest.shards[0]
    for i in range(n_shards):
        (folder / f"of{n_shards}-{i:05d}.tar").symlink_to(first.path)
    rows = tuple(Shard(f"of{n_shards}-{i:05d}.tar", first.samples, first.bytes) for i in range(n_shards))
    many = Manifest("many", "id", rows, root=manifest.root)
    parts = shards.ShardParts(many, list(rows), read, BATCH)
    return peak_mib(lambda: sum(len(part["keys"]) for part in shards.loader(parts, 0)))


def cosines(pictures: list[bytes], model: str) -> Tensor:
    """Between the features of exact and fast resizing."""
    from ood_lightning.encoders.openclip import OpenClip

    features = []
    for resize in ("exact", "fast"):
        encoder = OpenClip(model, resize=resize)
        encoder.load(torch.device("cpu"))
        features.append(encoder.encode_image(torch.stack([encoder.transform(decode(p)) for p in pictures])))
    return (features[0].double() * features[1].double()).sum(1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="builtin:pictograms/model")
    options = parser.parse_args()

    torch.set_num_threads(1)
    exact = image_transform(224, False, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    fast = with_fast_resize(exact, "any")
    pictures = photographs(options.pictures, options.count)
    with tempfile.TemporaryDirectory() as folder:
        manifest = write(pictures, Path(folder), 2 * max(options.workers, 1))
        loose = Loose(sorted(Path(folder).glob("*.jpg")), exact)

        ways: dict[str, Callable[[], Iterator[Tensor]]] = {
            "loose files, PIL, DataLoader": lambda: iter(DataLoader(loose, BATCH, num_workers=options.workers)),
            "bare webdataset": lambda: bare(manifest, exact, options.workers),
            "ours, exact": lambda: ours(manifest, exact, options.workers),
            "ours, resize: fast": lambda: ours(manifest, fast, options.workers),
        }

        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        decode_s = []
        for _ in range(options.repeats):  # in turn, so that another's load falls on all
            for name, way in ways.items():
                took[name].append(timed(way, options.count))
            decode_s.append(least_s(pictures[:200], exact))

        table = Table("", "pictures/s", "ratio", "CPU ms a picture", "ratio", box=SIMPLE)
        best = {name: (min(wall for wall, _ in runs), min(cpu for _, cpu in runs)) for name, runs in took.items()}
        base = best["loose files, PIL, DataLoader"]
        for name, (wall, cpu) in best.items():
            cells = f"{options.count / wall:.0f}", f"{base[0] / wall:.2f}", f"{1000 * cpu / options.count:.2f}"
            table.add_row(name, *cells, f"{base[1] / cpu:.2f}")
        Console().print(table)

        size = sum(map(len, pictures)) / len(pictures) / 1000
        print(f"{options.count} pictures of {size:.0f} kB, {options.workers} workers, the best of {options.repeats}")
        print(
            f"decoding and resizing by Pillow, and nothing else: {1000 * min(decode_s):.2f} CPU ms a picture, so that "
            f"its pixels come at most {base[1] / options.count / min(decode_s):.2f} times as fast as in the plain way"
        )

        for name, transform in (("exact", exact), ("fast", fast)):
            share = decoding_share(manifest, transform, options.workers)
            print(f"{name}: {1 - share:.1%} of the CPU time is neither decoding nor the transform")

        for n_shards in (1, 4, 64):
            peak = memory(pictures[:BATCH], Path(folder) / f"of{n_shards}", n_shards, split(exact).first)
            if n_shards > 1:  # the first run pays for what stays loaded
                print(f"{n_shards} shards of {BATCH} pictures: {peak:.0f} MiB at the peak of a reader")

    similarities = cosines(pictures[:200], options.model)
    mean, smallest = similarities.mean(), similarities.min()
    print(f"features of {options.model}, fast against exact: cosine {mean:.7f}, smallest {smallest:.6f}")


if __name__ == "__main__":
    main()
