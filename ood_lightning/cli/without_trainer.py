"""What commands without a Trainer and a data module begin with: a device, a loaded encoder, ID training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.encoders.base import Encoder


def pick_device(local_rank: int = 0) -> torch.device:
    """The process's own GPU where there is one, else the CPU."""
    import torch

    n_gpus = torch.cuda.device_count()
    return torch.device("cuda", local_rank % n_gpus) if n_gpus else torch.device("cpu")


def begin(
    encoder: Encoder,
    cache_dir: str,
    id_shards: str | None,
    *,
    max_bad_samples: int = 0,
    extra_features: Sequence[str] = (),
) -> tuple[torch.device, TextBank, Inputs]:
    """The device, the encoder's text features, and what ID training images offer; nothing where none are named.

    Args:
        encoder: loaded afterwards.
        cache_dir: folder of all features.
        id_shards: folder with a manifest, or tars by a brace list; missing features are made.
        max_bad_samples: undecodable pictures that the set may have.
        extra_features: columns to store beside the image features; those of patches are left out.
    """
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.artifacts.features import FeatureSet
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.base import not_patches
    from ood_lightning.datamodules.embedding import embed
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.label_sets.training_images import inputs_of

    device, available = pick_device(), Inputs()
    if id_shards is not None:
        manifest, columns = read_manifest(id_shards), not_patches(extra_features)
        stored = embed(
            encoder, manifest, cache_dir, device=device, max_bad_samples=max_bad_samples, extra_features=columns
        )
        available = inputs_of(FeatureSet(manifest, stored.read(max_bad_samples)), device)

    encoder.load(device)
    return device, TextBank(encoder, cache_dir), available
