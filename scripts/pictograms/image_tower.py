"""The student's image tower: a small network that open_clip builds from JSON alone."""

from __future__ import annotations

import timm
import torch
from compose import SIZE
from open_clip.modified_resnet import ModifiedResNet
from text_tower import DIM
from torch import nn

TIMM = {"timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": ""}


def vision_config(name: str) -> dict:
    """open_clip's ``vision_cfg``.

    Args:
        name: a timm model, or ``clip-WIDTH-LAYERS`` for CLIP's own ResNet, e.g. ``clip-24-1111``.
    """
    if name.startswith("clip-"):
        _, width, layers = name.split("-")
        return {"image_size": SIZE, "layers": [int(n) for n in layers], "width": int(width)}
    return {"image_size": SIZE, "timm_model_name": name, **TIMM}


def build(name: str) -> nn.Module:
    """A fresh tower, whose weights open_clip takes under ``prefix(name)``."""
    config = vision_config(name)
    if "layers" in config:
        width = config["width"]
        tower = ModifiedResNet(config["layers"], DIM, heads=width * 32 // 64, image_size=SIZE, width=width)
        tower.init_parameters()
    else:
        tower = timm.create_model(name, pretrained=False, num_classes=DIM)
    return tower.to(memory_format=torch.channels_last)


def prefix(name: str) -> str:
    """Where open_clip's CLIP keeps these weights."""
    return "visual." if name.startswith("clip-") else "visual.trunk."
