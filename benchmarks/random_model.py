"""Models of open_clip with random weights: as fast as trained ones, and nothing to download."""

import json
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from ood_lightning.encoders.openclip import OpenClip


def random_model(folder: Path, config: dict[str, Any], **settings: Any) -> OpenClip:
    """A CLIP of random weights, kept in a folder.

    Args:
        folder: empty.
        config: of the model, as open_clip's `get_model_config` gives it.
        settings: of the encoder.
    """
    torch.manual_seed(0)
    tensors = {name: tensor.contiguous() for name, tensor in CLIP(**config).state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    return OpenClip(f"local-dir:{folder}", **settings)
