"""Presets of published code bases, pixel by pixel against Pillow."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file
from tiny_model import TINY

from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model for pictures of 224 x 224."""
    folder = tmp_path_factory.mktemp("model224")
    config = {**TINY, "vision_cfg": {**TINY["vision_cfg"], "image_size": 224, "patch_size": 112}}  # type: ignore[dict-item]
    weights = {name: tensor.contiguous() for name, tensor in CLIP(**config).state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return folder


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def by_hand(image: Image.Image, side: int, filtering: Image.Resampling) -> torch.Tensor:
    width, height = image.size
    short = min(width, height)
    image = image.resize((int(side * width / short), int(side * height / short)), filtering)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float64) / 255
    return torch.tensor((pixels - MEAN) / STD).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(300, 400), (640, 231), (224, 224), (50, 90)])
@pytest.mark.parametrize(
    ("preprocess", "side", "filtering"),
    [("legacy-bilinear224", 224, Image.Resampling.BILINEAR), ("openood-256", 256, Image.Resampling.BICUBIC)],
)
def test_a_preset_makes_the_pixels_that_pillow_makes(
    model: Path, preprocess: Any, side: int, filtering: Image.Resampling, size: tuple[int, int]
):
    pixels = OpenClip(f"local-dir:{model}", preprocess=preprocess).transform(noise(*size))
    assert pixels.shape == (3, 224, 224)
    torch.testing.assert_close(pixels.double(), by_hand(noise(*size), side, filtering), atol=1e-5, rtol=0)


def test_the_models_own_preprocessing_is_the_default_and_another_one(model: Path):
    image = noise(300, 400)
    default, *others = (
        OpenClip(f"local-dir:{model}", preprocess=name).transform(image)  # type: ignore[arg-type]
        for name in ("model", "legacy-bilinear224", "openood-256")
    )
    torch.testing.assert_close(default.double(), by_hand(image, 224, Image.Resampling.BICUBIC), atol=1e-5, rtol=0)
    assert all((default - other).abs().max() > 0.1 for other in others)


def test_a_preset_is_part_of_the_fingerprint(model: Path, tmp_path: Path):
    same = Path(shutil.copytree(model, tmp_path / "same"))
    names: tuple[Any, ...] = ("model", "legacy-bilinear224", "openood-256")
    fingerprints = [
        OpenClip(f"local-dir:{folder}", preprocess=name).fingerprint for folder in (model, same) for name in names
    ]
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == OpenClip(f"local-dir:{model}").fingerprint


def test_a_model_of_another_size_refuses_presets(tiny_model: Path):
    with pytest.raises(EncoderError, match=r"224 x 224, encoder .* takes \(16, 16\): use preprocess: model"):
        OpenClip(f"local-dir:{tiny_model}", preprocess="openood-256").load(torch.device("cpu"))
