"""ID training images of commands that run without a data module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.encoders.base import Encoder


def training_inputs(
    source: str | None,
    encoder: Encoder,
    cache_dir: str,
    device: torch.device,
    *,
    max_bad_samples: int = 0,
    extra_features: Sequence[str] = (),
) -> Inputs:
    """What a set of ID training images offers to label sources and detectors; nothing where none is named.

    Args:
        source: folder with a manifest, or tars by a brace list; missing features are made.
        encoder: loaded only when something is missing.
        cache_dir: folder of all features.
        device: where the encoder and detectors compute.
        max_bad_samples: undecodable pictures that the set may have.
        extra_features: columns to store beside the image features; those of patches are left out.
    """
    from ood_lightning.data.artifacts.features import FeatureSet
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.base import not_patches
    from ood_lightning.datamodules.embedding import embed
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.label_sets.training_images import inputs_of

    if source is None:
        return Inputs()
    manifest, columns = read_manifest(source), not_patches(extra_features)
    folder = embed(encoder, manifest, cache_dir, device=device, max_bad_samples=max_bad_samples, extra_features=columns)
    return inputs_of(FeatureSet(manifest, folder.read(max_bad_samples)), device)
