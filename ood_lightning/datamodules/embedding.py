"""Shards to features: the one place where pictures meet an encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.features import FeatureFolder
from ood_lightning.data.manifest import Manifest, plan
from ood_lightning.data.shards import ShardParts, loader
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import FeatureError
from ood_lightning.progress import bar

STORED = {"float16": torch.float16, "float32": torch.float32}


def embed(
    encoder: Encoder,
    manifest: Manifest,
    cache_dir: str | Path,
    *,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
    batch_size: int = 256,
    num_workers: int = 2,
    max_bad_samples: int = 0,
) -> FeatureFolder:
    """Store the features of this rank's share of a set, as far as they are missing.

    The share is planned over all shards, finished or not, so that ranks and array tasks never disagree about it. They
    need no connection to one another.

    Args:
        encoder: loaded only when something is missing.
        manifest: the set.
        cache_dir: folder of all features.
        device: where the encoder computes.
        rank: this process.
        world_size: number of processes.
        batch_size: pictures in a batch.
        num_workers: processes that decode pictures.
        max_bad_samples: undecodable pictures that a shard may have before this stops; reading holds the set to it.

    Returns:
        The folder; complete once every rank has returned.

    Raises:
        ShardContentError, ShardCountError, FeatureError: a shard is damaged, or a feature is not finite.
    """
    folder = FeatureFolder(cache_dir, manifest, encoder.fingerprint)
    missing = set(folder.missing())
    todo = [shard for shard in plan(manifest.shards, world_size)[rank] if shard in missing]
    if not todo:
        return folder
    encoder.load(device)
    parts = ShardParts(manifest, todo, encoder.transform, batch_size, max_bad_samples)
    by_path = {shard.path: shard for shard in todo}
    open_shards: dict[str, _Gathered] = {}
    with bar(sum(shard.samples for shard in todo), f"embed {manifest.name}", "img") as shown:
        for part in loader(parts, num_workers):
            gathered = open_shards.setdefault(part["shard"], _Gathered())
            if len(part["keys"]):
                gathered.image.append(_encoded(encoder, part["image"], f"set {manifest.name!r}, shard {part['shard']}"))
                gathered.label.append(part["label"])
                gathered.keys += part["keys"]
            gathered.bad += part["bad"]
            shown.update(len(part["keys"]) + len(part["bad"]))
            if part["last"]:
                done = open_shards.pop(part["shard"])
                folder.write(by_path[part["shard"]], *done.tensors(), done.keys, done.bad)
    return folder


def _encoded(encoder: Encoder, image: Tensor, where: str) -> Tensor:
    try:
        return encoder.encode_image(image).to("cpu", STORED[encoder.feature_dtype])
    except ValueError as error:  # a tower in half precision can overflow
        raise FeatureError(f"{where}: the features are no unit vectors ({error}). Use precision fp32.") from error


class _Gathered:
    """What has come of one shard so far."""

    def __init__(self) -> None:
        self.image: list[Tensor] = []
        self.label: list[Tensor] = []
        self.keys: list[str] = []
        self.bad: list[str] = []

    def tensors(self) -> tuple[Tensor, Tensor]:
        if not self.keys:
            return torch.empty(0, 1), torch.empty(0, dtype=torch.int64)
        return torch.cat(self.image), torch.cat(self.label)
