"""ID training images of the commands that may do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.encoders.base import Encoder


def training_inputs(id_train_shards: str | None, encoder: Encoder, cache_dir: str, device: torch.device) -> Inputs:
    """What a set of ID training images offers to label sources and detectors; nothing where none is named.

    Args:
        id_train_shards: folder with a manifest, or tars by a brace list; missing features are made.
        encoder: of the command.
        cache_dir: folder of all features.
        device: where detectors compute.
    """
    from ood_lightning.datamodules.base import not_patches
    from ood_lightning.datamodules.embedding import embedded_set
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.label_sets.training_images import inputs_of

    if id_train_shards is None:
        return Inputs()
    extra_features = not_patches(encoder.extra_features)
    images = embedded_set(encoder, id_train_shards, cache_dir, device, extra_features=extra_features)
    return inputs_of(images, device)
