"""open_clip's door: image features, scale, precision and fingerprint of its models, and folders that are damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from shard_files import encoded

from ood_lightning.data.shards.decode import decode
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError, SourceError

CPU = torch.device("cpu")
TEXTS = ["dog", "a photo of a very large and rather old dog.", "wow! so much! fun!", ""]

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> OpenClip:
    encoder = OpenClip(f"local-dir:{tiny_model}", text_batch=2)
    encoder.load(CPU)
    return encoder


def test_image_features_are_the_models_own_at_length_one(tiny: OpenClip):
    images = torch.stack([tiny.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    assert images.shape == (3, 3, 16, 16)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(tiny._towers[0].encode_image(images), dim=-1)
    torch.testing.assert_close(tiny.encode_image(images), expected, atol=1e-6, rtol=1e-6)


def test_the_length_of_image_features_is_the_projections(tiny: OpenClip):
    images = torch.stack([tiny.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    columns = tiny.encode_columns(images, ["length"])
    with torch.inference_mode():
        projected = tiny._towers[0].encode_image(images)
    assert list(columns) == ["image", "length"]
    assert columns["length"].shape == (3, 1)
    torch.testing.assert_close(columns["image"] * columns["length"], projected, atol=1e-6, rtol=1e-5)
    assert set(tiny.encode_columns(images)) == {"image"}


def test_the_scale_is_the_multiplier_itself(tiny: OpenClip):
    assert tiny.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32_features_near_those_of_full(tiny: OpenClip, tiny_model: Path, precision: Any):
    half = OpenClip(f"local-dir:{tiny_model}", precision=precision, text_batch=2)
    half.load(CPU)
    images = torch.stack([tiny.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    pairs = [(half.encode_image(images), tiny.encode_image(images)), (half.encode_text(TEXTS), tiny.encode_text(TEXTS))]
    for rounded, exact in pairs:
        assert rounded.dtype == torch.float32
        assert torch.cosine_similarity(rounded, exact).min() > 0.99


def test_building_and_naming_an_encoder_loads_nothing(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_clip, "create_model_and_transforms", None)
    encoder = OpenClip(f"local-dir:{tiny_model}")
    assert len(encoder.fingerprint) == 16
    assert "_towers" not in vars(encoder)
    assert len(OpenClip("ViT-B-16-quickgelu", "openai").fingerprint) == 16


def test_the_fingerprint_follows_everything_that_changes_features(tiny_model: Path, tmp_path: Path):
    def copy(name: str) -> Path:
        return Path(shutil.copytree(tiny_model, tmp_path / name))

    same, weights, preprocess = copy("same"), copy("weights"), copy("preprocess")
    raw = bytearray((weights / "open_clip_model.safetensors").read_bytes())
    raw[-1] ^= 1
    (weights / "open_clip_model.safetensors").write_bytes(raw)
    config = json.loads((preprocess / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["interpolation"] = "bilinear"
    (preprocess / "open_clip_config.json").write_text(json.dumps(config))

    fingerprint = OpenClip(f"local-dir:{tiny_model}").fingerprint
    assert OpenClip(f"local-dir:{same}").fingerprint == fingerprint
    assert OpenClip(f"local-dir:{tiny_model}", text_batch=3, cache_dir="x").fingerprint == fingerprint

    named = [OpenClip("ViT-B-32", tag) for tag in ("laion2b_e16", "laion2b_s34b_b79k")]
    others = [
        OpenClip(f"local-dir:{weights}"),
        OpenClip(f"local-dir:{preprocess}"),
        OpenClip(f"local-dir:{tiny_model}", precision="bf16"),
        OpenClip(f"local-dir:{tiny_model}", feature_dtype="float32"),
        *named,
    ]
    assert len({fingerprint, *(encoder.fingerprint for encoder in others)}) == 7


def test_the_fingerprint_of_a_checkpoint_file_is_that_of_its_bytes(tmp_path: Path):
    fingerprints = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "w.pt").write_bytes(content)
        fingerprints.append(OpenClip("ViT-B-32", str(tmp_path / "w.pt")).fingerprint)
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_a_missing_builtin_model_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OOD_LIGHTNING_ASSETS", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="come with a checkout"):
        _ = OpenClip("builtin:pictograms/model").fingerprint


@pytest.mark.parametrize("damage", ["weights", "config", "no weights"])
def test_a_damaged_model_folder_is_an_encoder_error(tiny_model: Path, tmp_path: Path, damage: str):
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    if damage == "weights":
        (folder / "open_clip_model.safetensors").write_bytes(b"cut")
    elif damage == "config":
        (folder / "open_clip_config.json").write_text("{")
    else:
        (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(EncoderError, match="cannot be loaded"):
        OpenClip(f"local-dir:{folder}").load(CPU)
