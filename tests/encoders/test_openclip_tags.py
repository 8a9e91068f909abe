"""Names, tags and activations: nothing that would give wrong features is loaded without an error."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from hub_cache import cached

from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.mark.parametrize(
    ("model", "pretrained", "words"),
    [
        ("ViT-B-16", "openai", r"trained with QuickGELU.*Use model: ViT-B-16-quickgelu$"),
        ("ViT-H-14", "dfn5b", r"Use model: ViT-H-14-quickgelu$"),
        ("ViT-B-16-quickgelu", "laion2b_s34b_b88k", r"no weights 'laion2b_s34b_b88k' for 'ViT-B-16-quickgelu'"),
        ("ViT-B-16", "webli", r"no weights 'webli' for 'ViT-B-16'.*Models with 'webli': ViT-B-16-SigLIP, "),
        ("ViT-L-16-SigLIP-256-quickgelu", "webli", r"near ones: ViT-L-16-SigLIP-256, "),
        ("ViT-SO400M-14-SigLIP", "openai", r"it has webli\. Models with 'openai': ViT-.*-quickgelu"),
        ("ViT-B-16-siglip", "webli", r"near ones: ViT-B-16-SigLIP, "),
        ("google/siglip-base-patch16-224", None, r"a model of transformers is loaded by .*huggingface\.HuggingFace"),
        ("ViT-B16", "openai", r"no model 'ViT-B16'; near ones: .*ViT-B-16"),
        ("vit-b-16", "openai", r"no model 'vit-b-16'; near ones: ViT-B-16"),
        ("zebra", "openai", r"no model 'zebra'\. A folder"),
        ("ViT-B-16-quickgelu", "OpenAI", r"open_clip calls the weights 'OpenAI' 'openai': use pretrained: openai$"),
        ("ViT-B-16", "laion2b-s34b-b88k", r"use pretrained: laion2b_s34b_b88k$"),
        ("local-dir:/nowhere", "openai", r"brings its own weights, so pretrained: openai would not be used: leave it"),
        ("hf-hub:org/tiny", "openai", r"brings its own weights"),
        ("ViT-B-16-quickgelu", "opnai", r"no weights 'opnai' for 'ViT-B-16-quickgelu'; it has .*openai"),
        ("ViT-B-16", None, r"needs `pretrained`: one of .*laion2b_s34b_b88k"),
        ("local-dir:/nowhere", None, r"/nowhere holds no open_clip_config\.json"),
        ("ViT-B-32", "weights/none.pt", r"no checkpoint file .*weights/none\.pt"),
    ],
)
def test_what_would_load_something_else_is_refused(model: str, pretrained: str | None, words: str):
    for use in (lambda e: e.fingerprint, lambda e: e.load(CPU)):
        with pytest.raises(EncoderError, match=words):
            use(OpenClip(model, pretrained))


def test_open_clip_itself_takes_the_wrong_activation_with_a_warning_only():
    """Why the tag is checked: the config that the factory would build."""
    assert not open_clip.get_model_config("ViT-B-16").get("quick_gelu", False)
    assert open_clip.get_model_config("ViT-B-16-quickgelu")["quick_gelu"]


@pytest.mark.parametrize(
    ("repository", "quick", "right"),
    [
        ("apple/DFN5B-CLIP-ViT-H-14", False, "model: ViT-H-14-quickgelu, pretrained: dfn5b"),
        ("timm/vit_base_patch16_clip_224.openai", False, "model: ViT-B-16-quickgelu, pretrained: openai"),
        ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", True, "model: ViT-B-16, pretrained: laion2b_s34b_b88k"),
        ("apple/DFN5B-CLIP-ViT-H-14", True, None),
        ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", False, None),
        ("org/tiny", True, None),  # nothing is known of it
    ],
)
def test_a_hub_config_with_the_wrong_activation_is_refused(
    tiny_model: Path, tmp_path: Path, repository: str, quick: bool, right: str | None
):
    snapshot = cached(tiny_model, tmp_path, repository)
    config = json.loads((snapshot / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = quick
    (snapshot / "open_clip_config.json").write_text(json.dumps(config))

    encoder = OpenClip(f"hf-hub:{repository}", cache_dir=str(tmp_path))
    if right is None:
        assert encoder.encode_text(["dog", "cat"]).shape == (2, 16)
    else:
        with pytest.raises(EncoderError, match=f"is wrong about QuickGELU.*Use .*OpenClip, {right}$"):
            encoder.load(CPU)
