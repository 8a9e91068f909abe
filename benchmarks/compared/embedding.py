"""Images to features: decoding, computing and storing at the same time, against the same steps in turn.

On two cores the gain is the second one, and wall time is what counts; processor seconds are those of all processes. The
model is a ViT of random weights, so small that computing is about a third of all work.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.loader import photographs, write
from benchmarks.random_model import random_model
from benchmarks.rows import Row, Ways
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardPart, ShardParts, loader
from ood_lightning.datamodules.embedding import STORED_ALSO, embed
from ood_lightning.datamodules.shard_writer import GatheredShard
from ood_lightning.encoders.openclip import OpenClip

BATCH, WORKERS = 64, 2
COLUMNS = ("patches",)  # so that storing is work too: 50 kB a picture
DTYPES = {"image": torch.float16, **STORED_ALSO}
CPU = torch.device("cpu")


def small_model(folder: Path, width: int, layers: int) -> OpenClip:
    """A ViT of patches of 32 x 32, and the smallest text tower, of random weights."""
    vision = {"image_size": 224, "layers": layers, "width": width, "head_width": 64, "patch_size": 32}
    text = {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    return random_model(folder, {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text})


def in_turn(
    encoder: OpenClip, manifest: Manifest, cache: str, parts: Callable[[ShardParts], Iterable[ShardPart]]
) -> None:
    """Each batch is waited for, encoded and rounded, and each shard stored, before anything else is done."""
    first, rest = split(encoder.transform)
    folder = FeatureFolder(cache, manifest, encoder.fingerprint, COLUMNS)
    shards = {shard.path: shard for shard in manifest.shards}
    gathered = {path: GatheredShard() for path in shards}

    for part in parts(ShardParts(manifest, list(manifest.shards), first, BATCH)):
        shard = gathered[part["shard"]]
        if part["keys"]:
            columns = encoder.encode_columns(rest(part["image"]), COLUMNS)
            shard.add(part, {name: rows.to(DTYPES[name]) for name, rows in columns.items()})
        if part["last"]:
            image, label, patches = shard.joined(["image", "label", *COLUMNS])
            folder.write(shards[part["shard"]], image, label, shard.keys, shard.bad, {"patches": patches})


def ways(pictures: int, shards: int, width: int, layers: int) -> Ways:
    """Three ways to the same files."""
    kept = TemporaryDirectory()
    folder = Path(kept.name)
    for name in ("model", "shards"):
        (folder / name).mkdir()
    encoder = small_model(folder / "model", width, layers)
    encoder.load(CPU)
    manifest = write(photographs(None, pictures), folder / "shards", shards)

    def anew(work: Callable[[str], object]) -> None:
        with TemporaryDirectory(dir=kept.name) as cache:
            work(cache)

    def ours(cache: str) -> None:
        embed(
            encoder,
            manifest,
            cache,
            device=CPU,
            batch_size=BATCH,
            num_workers=WORKERS,
            extra_features=COLUMNS,
        )

    plain = partial(in_turn, encoder, manifest, parts=iter)
    decoded_beside = partial(in_turn, encoder, manifest, parts=partial(loader, num_workers=WORKERS))
    return {
        "in turn": partial(anew, plain),
        "decoded beside the rest": partial(anew, decoded_beside),
        "ours": partial(anew, ours),
    }


def rows(small: bool) -> list[Row]:
    pictures, shards, width, layers = (12, 2, 64, 1) if small else (256, 4, 128, 4)
    return [
        Row(
            name="embed",
            title="images to features",
            sizes=f"{pictures} JPEGs of 500 x 375, {shards} shards, ViT/32 of width {width}, {layers} layers, patches",
            base="decoding, computing and storing in turn, in one process",
            aim="wall ratio of ours at most 0.77 on two cores",
            ways=partial(ways, pictures, shards, width, layers),
        )
    ]
