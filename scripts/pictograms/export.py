"""Put both towers into one folder that open_clip loads by `local-dir:FOLDER`, with no code of ours.

Run by `build.py --stage export`. The weights are stored in half precision and the files are swapped in by renaming.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import image_tower
import torch
from safetensors.torch import save_file
from text_tower import DIM, TEMPERATURE, TEXT_CONFIG

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


def training_log(work: Path, name: str) -> str:
    """Both towers' logs as JSON lines, each with the tower it is about."""
    lines = []
    for tower, log in (("text", "text"), ("image", name)):
        for line in (work / f"{log}_log.jsonl").read_text().splitlines():
            lines.append(json.dumps({"about": f"{tower} tower"} | json.loads(line)))
    return "\n".join(lines) + "\n"


def export(work: Path, folder: Path, name: str = "image") -> None:
    """Write ``CONFIG``, ``WEIGHTS`` and ``training_log.jsonl``.

    Args:
        work: holds ``text.pt`` and ``NAME.pt``.
        folder: made if need be.
        name: of the image tower's run.
    """
    folder.mkdir(parents=True, exist_ok=True)

    text = torch.load(work / "text.pt", weights_only=True)
    image = torch.load(work / f"{name}.pt", weights_only=True)
    weights = {key: value for key, value in text.items() if key != "attn_mask"}
    weights |= {image_tower.prefix(image["tower"]) + key: value for key, value in image["weights"].items()}
    weights["logit_scale"] = torch.tensor(math.log(1 / TEMPERATURE))
    halves = {k: (v.half() if v.ndim and v.is_floating_point() else v).contiguous() for k, v in weights.items()}

    config = {
        "model_cfg": {
            "embed_dim": DIM,
            "vision_cfg": image_tower.vision_config(image["tower"]),
            "text_cfg": TEXT_CONFIG,
        },
        "preprocess_cfg": {
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "interpolation": "bilinear",
            "resize_mode": "squash",
        },
    }

    save_file(halves, folder / f"{WEIGHTS}.tmp", metadata={"format": "pt"})
    (folder / f"{CONFIG}.tmp").write_text(json.dumps(config, indent=2) + "\n")
    for file in (WEIGHTS, CONFIG):
        (folder / f"{file}.tmp").chmod(0o644)
        (folder / f"{file}.tmp").rename(folder / file)
    (folder / "training_log.jsonl").write_text(training_log(work, name))

    n_params = sum(value.numel() for value in halves.values())
    print(f"{n_params / 1e6:.2f} M numbers, {(folder / WEIGHTS).stat().st_size / 1e6:.1f} MB")
