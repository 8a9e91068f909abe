"""Shards to features: the one place where pictures meet an encoder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.artifacts.files import make_folder
from ood_lightning.data.artifacts.unit_vectors import check_directions
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardPart, ShardParts, killed_workers, loader
from ood_lightning.datamodules.in_flight import Copies, Finish, in_flight
from ood_lightning.datamodules.precision import say_in_other_precision, state_precision
from ood_lightning.datamodules.shard_writer import GatheredShard, ShardWriter
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import MORE_FILES, EncoderError, FeatureError, check_least
from ood_lightning.functional.similarity import unit
from ood_lightning.plurals import many
from ood_lightning.progress import bar

STORED = {"float16": torch.float16, "float32": torch.float32}
# Patches are unit vectors, so half precision errs by 5e-4 of a length. The tower's output is not: it may overflow, and
# its covariance is inverted, where rounding would fill the directions of little variance.
STORED_ALSO = {"patches": torch.float16, "tower": torch.float32, "length": torch.float32}


def stored_dtypes(encoder: Encoder) -> dict[str, torch.dtype]:
    """In which dtype each column is stored."""
    return {"image": STORED[encoder.feature_dtype], **STORED_ALSO}


def as_stored(features: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    """Features as they would be read back from a store, float32: an image then scores alike, stored or not.

    Half precision moves a score at CLIP's scale by hundredths, more than the gap between two calibration scores.

    Args:
        features: columns as the encoder gives them, `image` (B, D) among them.
        encoder: of these features.
    """
    dtypes = stored_dtypes(encoder)
    rounded = {name: column.to(dtypes[name]).float() for name, column in features.items()}
    return {**rounded, "image": unit(rounded["image"])}


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

    Pictures are decoded, encoded and stored at the same time. A shard is held until it is done, one for each process
    that decodes. Of those that are done one is written, which holds it up to three and a half times, and one may wait:
    with patches of ViT-B/16, 0.9 GB for 1,000 pictures.

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
        say_in_other_precision(encoder, manifest, cache_dir, extra_features)
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
    """Encode the batches of all workers as they come, and store each shard when its last batch is there."""
    manifest = folder.manifest
    # the workers' part of the preprocessing, and the device's
    first, rest = split(encoder.transform, upright=manifest.upright)
    reader = ShardParts(manifest, todo, first, batch_size, max_bad_samples)

    # closed, since the frames that an error keeps would keep the workers too
    with killed_workers(), closing(loader(reader, num_workers)) as parts:
        lost = encode_parts(encoder, folder, todo, parts, rest, device)

    # a batch that a worker cannot send is gone without an error here, as where it may open no more files
    if lost:
        raise FeatureError(
            f"set {manifest.name!r}: {many(len(lost), 'shard')} did not come whole from the processes that decode, "
            f"such as {min(lost)}; what they said stands above. {MORE_FILES}. Finished shards are kept"
        )


def encode_parts(
    encoder: Encoder,
    folder: FeatureFolder,
    shards: Sequence[Shard],
    parts: Iterable[ShardPart],
    rest: Callable[[Tensor], Tensor],
    device: torch.device,
) -> list[str]:
    """Encode parts of shards, and store the shards; decoding, computing and storing go on at the same time.

    Args:
        encoder: loaded.
        folder: of the set's features.
        shards: whose parts come.
        parts: of a shard in order; those of several may be mixed.
        rest: what a device does to decoded images before the encoder takes them.
        device: where the encoder computes.

    Returns:
        Paths of shards that did not come whole, and are not stored.
    """
    manifest, columns = folder.manifest, folder.extra_features
    dtypes = stored_dtypes(encoder)
    missing = {shard.path: shard for shard in shards}
    open_shards: dict[str, GatheredShard] = {}
    copies = Copies(device)

    def launch(part: ShardPart) -> Finish:
        if not part["keys"]:
            return dict
        encoded = _encoded(encoder, rest(copies.to_device(part["image"])), columns, _where(manifest, part))
        return copies.to_cpu({name: rows.to(dtypes[name]) for name, rows in encoded.items()})

    n_samples = sum(shard.samples for shard in shards)
    with bar(n_samples, f"embed {manifest.name}", "img") as progress_bar, ShardWriter(folder) as writer:
        for part, encoded in in_flight(parts, launch, copies.batches_in_flight):
            writer.raise_early()
            check_directions(encoded, _where(manifest, part))
            gathered = open_shards.setdefault(part["shard"], GatheredShard())
            gathered.add(part, encoded)
            progress_bar.update(len(part["keys"]) + len(part["bad"]))

            if part["last"]:
                shard = missing[part["shard"]]
                if gathered.n_samples != shard.samples:
                    break
                del open_shards[shard.path], missing[shard.path]
                writer.store(shard, gathered)

    return list(missing)


def _where(manifest: Manifest, part: ShardPart) -> str:
    return f"set {manifest.name!r}, shard {part['shard']}"


def _encoded(encoder: Encoder, image: Tensor, extra_features: Sequence[str], where: str) -> dict[str, Tensor]:
    """Columns of a batch, on the encoder's device."""
    try:
        return encoder.encode_columns(image, extra_features)
    except EncoderError:
        raise
    except ValueError as error:  # a tower in half precision can overflow, and its encoder look at once
        raise FeatureError(f"{where}: the features are no unit vectors ({error}). Use precision fp32.") from error
