"""The same weights through open_clip's door and through transformers' give the same features."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_model import TINY
from torch import Tensor

from ood_lightning.encoders.huggingface import HuggingFace
from ood_lightning.encoders.openclip import OpenClip

transformers = pytest.importorskip("transformers")

TEXTS = ["dog", "A photo of a very large, rather old Dog!", "", "!", "naïve café 猫", "it's 12 o'clock", "one " * 20]
PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that transformers' CLIPModel gives them, from open_clip's names."""
    theirs = {}
    for name, tensor in weights.items():
        if name in NAMES:
            theirs[NAMES[name]] = tensor
        elif name in ("visual.proj", "text_projection"):
            theirs["visual_projection.weight" if "visual" in name else "text_projection.weight"] = tensor.T.contiguous()
        elif "resblocks" in name:
            tower = "vision_model" if name.startswith("visual") else "text_model"
            number, part = name.split("resblocks.")[1].split(".", 1)
            where = f"{tower}.encoder.layers.{number}"

            if part.startswith("attn.in_proj_"):
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    theirs[f"{where}.self_attn.{letter}_proj.{part.removeprefix('attn.in_proj_')}"] = third.contiguous()
            else:
                part, kind = part.rsplit(".", 1)
                theirs[f"{where}.{PARTS[part]}.{kind}"] = tensor

    return theirs


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[OpenClip, HuggingFace]:
    """The tiny open_clip model, and its weights as a checkpoint of transformers."""
    from open_clip import SimpleTokenizer
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    sizes: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_act": "gelu"}
    text = {**sizes, "hidden_size": 16, "intermediate_size": 64, "vocab_size": 49408, "max_position_embeddings": 16}
    vision = {**sizes, "hidden_size": 32, "intermediate_size": 128, "image_size": 16, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=TINY["embed_dim"]))
    model.load_state_dict(renamed(load_file(tiny_model / "open_clip_model.safetensors")))  # strict: none is forgotten
    theirs = SimpleTokenizer()
    merges = [pair for pair, _ in sorted(theirs.bpe_ranks.items(), key=lambda item: item[1])]
    folder = tmp_path_factory.mktemp("same_weights")
    model.save_pretrained(folder)
    vocabulary = {
        {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(token, token): number
        for token, number in theirs.encoder.items()
    }
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=16).save_pretrained(folder)
    square = {"height": 16, "width": 16}
    half = [0.5] * 3
    processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=square, image_mean=half, image_std=half)
    processor.save_pretrained(folder)
    return OpenClip(f"local-dir:{tiny_model}", text_batch=3), HuggingFace(str(folder), text_batch=3)


@pytest.mark.slow
def test_texts(doors: tuple[OpenClip, HuggingFace]):
    one, other = (encoder.encode_text(TEXTS) for encoder in doors)
    assert one.std(dim=0).min() > 0.01
    torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-5)


def test_pictures_and_their_preprocessing(doors: tuple[OpenClip, HuggingFace]):
    features = []
    for encoder in doors:
        noise = torch.randint(0, 256, (4, 40, 24, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
        features.append(
            encoder.encode_image(torch.stack([encoder.transform(Image.fromarray(x.numpy())) for x in noise]))
        )
    assert (features[0] @ features[0].T).min() < 0.9999
    torch.testing.assert_close(features[1], features[0], atol=1e-5, rtol=1e-5)


def test_the_scale(doors: tuple[OpenClip, HuggingFace]):
    assert doors[1].logit_scale == pytest.approx(doors[0].logit_scale)
    assert doors[1].fingerprint != doors[0].fingerprint  # the doors' pixels and roundings differ a little
