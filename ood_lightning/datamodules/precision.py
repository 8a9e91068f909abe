"""The price of 16-bit towers, measured on some pictures of a set before they are embedded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.precision import FILE, FromFP32
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.encoders.base import Encoder

PICTURES = 64


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
    first, rest = split(encoder.transform)
    parts = ShardParts(manifest, [shard], first, min(batch_size, PICTURES), max_bad_samples)
    batches: list[Tensor] = []
    n = 0
    for part in loader(parts, 0):
        batches += [part["image"][: PICTURES - n]] if part["keys"] else []
        n = sum(map(len, batches))
        if n == PICTURES:
            break
    if not n:  # none can be decoded
        return
    batches = [rest(batch.to(device)).clone() for batch in batches]  # the next call writes over what this one gave
    try:
        computed = _features(encoder, batches)
    except ValueError:  # they overflow: embedding comes next, meets the same pictures, and says where they lie
        return
    try:
        exact.load(device)
        wanted = _features(exact, batches)
    except torch.OutOfMemoryError:  # no reason to end a run
        exact.load(torch.device("cpu"))
        wanted = _features(exact, batches)
    FromFP32.of(computed, wanted, stored_as, encoder.precision, device.type).write(folder)


def _features(encoder: Encoder, batches: list[Tensor]) -> Tensor:
    return torch.cat([encoder.encode_image(batch).cpu() for batch in batches])
