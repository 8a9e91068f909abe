"""Shards to features: the one place where pictures meet an encoder."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.artifacts.files import make_folder
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardParts, killed_workers, loader
from ood_lightning.datamodules.precision import state_precision
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import MORE_FILES, EncoderError, FeatureError, check_least
from ood_lightning.plurals import many
from ood_lightning.progress import bar

STORED = {"float16": torch.float16, "float32": torch.float32}
# Patches are unit vectors, so half precision errs by 5e-4 of a length. The tower's output is not: it may overflow, and
# its covariance is inverted, where rounding would fill the directions of little variance.
STORED_ALSO = {"patches": torch.float16, "tower": torch.float32, "length": torch.float32}


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
    extra_features: Sequence[str] = (),
) -> FeatureFolder:
    """Store the features of this rank's share of a set, as far as they are missing.

    A shard is held until it is done, and up to three and a half times while it is written: with patches of ViT-B/16,
    0.7 GB for 1,000 pictures.

    The share is planned over all shards, finished or not, so that ranks and array tasks never disagree about it. They
    need no connection to one another.

    Whoever embeds the largest shard states first how far features of 16-bit towers are from float32's.

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
        extra_features: columns to store beside the image features.

    Returns:
        The folder; complete once every rank has returned.

    Raises:
        ShardContentError, ShardCountError, FeatureError: there are no pictures, a shard is damaged, or a feature is not
            finite.
        SettingsError: a number is below what it can be, or there is too little memory for it.
        UnwritableError: features cannot be stored.
    """
    check_least(1, embed_batch_size=batch_size)
    check_least(0, num_workers=num_workers, max_bad_samples=max_bad_samples)

    if not manifest.n_samples:
        raise FeatureError(f"set {manifest.name!r} holds no pictures")
    folder = FeatureFolder(cache_dir, manifest, encoder.fingerprint, extra_features)
    missing = set(folder.missing())
    todo = [shard for shard in plan(manifest.shards, world_size)[rank] if shard in missing]
    if todo:
        make_folder(folder.path)  # before minutes are spent on a shard that nobody can store
        encoder.load(device)
        largest = plan(manifest.shards, 1)[0][0]
        if largest in todo:
            state_precision(
                encoder,
                manifest,
                largest,
                folder.path,
                stored_as=STORED[encoder.feature_dtype],
                device=device,
                batch_size=batch_size,
                max_bad_samples=max_bad_samples,
            )
        _embed_shards(encoder, folder, todo, device, batch_size, num_workers, max_bad_samples)
    folder.sweep()
    return folder


def _embed_shards(
    encoder: Encoder,
    folder: FeatureFolder,
    todo: list[Shard],
    device: torch.device,
    batch_size: int,
    num_workers: int,
    max_bad_samples: int,
) -> None:
    """Encode the batches of all workers as they come, and write each shard when its last batch is there."""
    manifest, columns = folder.manifest, folder.extra_features
    # the workers' part of the preprocessing, and the device's
    first, rest = split(encoder.transform, upright=manifest.upright)
    parts = ShardParts(manifest, todo, first, batch_size, max_bad_samples)
    by_path = {shard.path: shard for shard in todo}
    open_shards: dict[str, _Gathered] = {}

    n_samples = sum(shard.samples for shard in todo)
    with killed_workers(), bar(n_samples, f"embed {manifest.name}", "img") as progress_bar:
        for part in loader(parts, num_workers):
            gathered = open_shards.setdefault(part["shard"], _Gathered())
            if len(part["keys"]):
                where = f"set {manifest.name!r}, shard {part['shard']}"
                encoded = _encoded(encoder, rest(part["image"].to(device)), columns, where)
                for name, rows in {**encoded, "label": part["label"]}.items():
                    gathered.parts[name].append(rows)
                gathered.keys += part["keys"]
            gathered.bad += part["bad"]
            progress_bar.update(len(part["keys"]) + len(part["bad"]))

            if part["last"]:
                shard = by_path[part["shard"]]
                if len(gathered.keys) + len(gathered.bad) != shard.samples:
                    break
                del open_shards[shard.path], by_path[shard.path]
                image, label, *others = gathered.joined(["image", "label", *columns])
                more = dict(zip(columns, others, strict=True))
                folder.write(shard, image, label, gathered.keys, gathered.bad, more)

    # a batch that a worker cannot send is gone without an error here, as where it may open no more files
    if by_path:
        raise FeatureError(
            f"set {manifest.name!r}: {many(len(by_path), 'shard')} did not come whole from the processes that decode, "
            f"such as {min(by_path)}; what they said stands above. {MORE_FILES}. Finished shards are kept"
        )


def _encoded(encoder: Encoder, image: Tensor, extra_features: Sequence[str], where: str) -> dict[str, Tensor]:
    """Columns of a batch in the dtypes that they are stored in, on the CPU."""
    dtypes = {"image": STORED[encoder.feature_dtype], **STORED_ALSO}
    try:
        columns = encoder.encode_columns(image, extra_features)
    except EncoderError:
        raise
    except ValueError as error:  # a tower in half precision can overflow
        raise FeatureError(f"{where}: the features are no unit vectors ({error}). Use precision fp32.") from error
    return {name: rows.to("cpu", dtypes[name]) for name, rows in columns.items()}


@dataclass
class _Gathered:
    """What has come of one shard so far: parts of its columns, by name, and the keys of its pictures."""

    parts: defaultdict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    keys: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def joined(self, names: Sequence[str]) -> list[Tensor]:
        """Each column as one tensor, one after the other; the parts are let go."""
        if not self.keys:
            return [torch.empty(0, dtype=torch.int64) if name == "label" else torch.empty(0, 1) for name in names]
        return [torch.cat(self.parts.pop(name)) for name in names]
