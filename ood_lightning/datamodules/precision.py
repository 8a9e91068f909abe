"""The price of 16-bit towers, measured on some pictures of a set before they are embedded."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.artifacts.precision import FILE, FromFP32
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.encoders.base import Encoder

PICTURES = 64

log = logging.getLogger(__name__)


def state_precision(
    encoder: Encoder,
    manifest: Manifest,
    shard: Shard,
    folder: Path,
    *,
    stored_as: torch.dtype,
    device: torch.device,
    batch_size: int,
    max_bad_samples: int,
) -> None:
    """Encode the first pictures of a shard in the encoder's precision and in float32, and keep the difference.

    Nothing is done for an encoder in float32, or where the difference is known. The second pair of towers, of twice the
    size, is let go again.

    Args:
        encoder: loaded.
        manifest: the set.
        shard: whose first pictures are taken.
        folder: of the set's features.
        stored_as: what features are rounded to.
        device: where the encoder computes.
        batch_size: pictures in a batch, at most.
        max_bad_samples: undecodable pictures that the shard may have.
    """
    exact = encoder.in_fp32()
    if exact is encoder or (folder / FILE).is_file():
        return
    batches = _first_images(encoder, manifest, shard, device, batch_size, max_bad_samples)
    if not batches:  # none can be decoded
        return

    try:
        computed = _features(encoder, batches)
    except ValueError:  # they overflow: embedding comes next, meets the same pictures, and says where they lie
        return
    try:
        exact.load(device)
        reference = _features(exact, batches)
    except torch.OutOfMemoryError:  # no reason to end a run
        exact.load(torch.device("cpu"))
        reference = _features(exact, batches)
    FromFP32.of(computed, reference, stored_as, encoder.tower_precision, device.type).write(folder)


def say_in_other_precision(
    encoder: Encoder, manifest: Manifest, cache_dir: str | Path, extra_features: Sequence[str]
) -> None:
    """Log where a set's features lie whole in the precision that `auto` stands for on other machines.

    Such as on a machine without a GPU, after one with a GPU embedded the set: nobody shall embed it twice unaware.
    """
    if encoder.precision != "auto":
        return

    here = encoder.tower_precision
    elsewhere = "fp32" if here == "bf16" else "bf16"
    other = replace(cast(Any, encoder), precision=elsewhere)
    folder = FeatureFolder(cache_dir, manifest, other.fingerprint, extra_features)
    if folder.path.is_dir() and not folder.missing():
        log.warning(
            "%s is embedded in %s, as precision: auto means here; its features in %s lie in %s, and precision: %s "
            "takes them",
            *(manifest.name, here, elsewhere, folder.path, elsewhere),
        )


def _first_images(
    encoder: Encoder, manifest: Manifest, shard: Shard, device: torch.device, batch_size: int, max_bad_samples: int
) -> list[Tensor]:
    """The first pictures of a shard that can be decoded, preprocessed, in batches (b, 3, H, W) on the device."""
    first, rest = split(encoder.transform, upright=manifest.upright)
    parts = ShardParts(manifest, [shard], first, min(batch_size, PICTURES), max_bad_samples)
    decoded = (image for part in loader(parts, 0) if part["keys"] for image in part["image"])
    images = list(islice(decoded, PICTURES))
    if not images:
        return []
    batches = torch.stack(images).split(batch_size)
    return [rest(batch.to(device)).clone() for batch in batches]  # the next call writes over what this one gave


def _features(encoder: Encoder, batches: list[Tensor]) -> Tensor:
    return torch.cat([encoder.encode_image(batch).cpu() for batch in batches])
