"""Further families of transformers' models: features are those that a model gives of one text and one image."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ood_lightning.encoders.huggingface import HuggingFace
from ood_lightning.errors import EncoderError

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tiny_transformers import CONTEXT, TEXTS, VISION, random_image, text_config, tokenizer, write  # noqa: E402

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_network")


SQUARE = {"size": {"height": 16, "width": 16}, "crop_size": {"height": 16, "width": 16}}


def further(family: str) -> tuple[Any, Any, Any]:
    """A model of another family, its tokenizer and its image processor."""
    t, tok = transformers, tokenizer()
    text, bert = text_config(tok), text_config(tok, type_vocab_size=2)
    crop = t.CLIPImageProcessor(**SQUARE)

    if family == "altclip":  # the positions of XLM-R begin behind the padding's
        roberta = {**text, "max_position_embeddings": CONTEXT + tok.pad_token_id + 1, "project_dim": 24}
        return t.AltCLIPModel(t.AltCLIPConfig(text_config=roberta, vision_config=VISION)), tokenizer(10**30), crop

    if family == "chinese_clip":
        return t.ChineseCLIPModel(t.ChineseCLIPConfig(text_config=bert, vision_config=VISION)), tok, crop

    if family == "metaclip_2":
        return t.MetaClip2Model(t.MetaClip2Config(text_config=text, vision_config=VISION)), tok, crop

    if family == "align":
        vision = {"image_size": 64, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 32}
        config = t.AlignConfig(text_config=bert, vision_config=vision, projection_dim=32)
        size = {"height": 64, "width": 64}
        return t.AlignModel(config), tok, t.EfficientNetImageProcessor(size=size, crop_size=size, include_top=True)

    if family == "clipseg":
        return t.CLIPSegModel(t.CLIPSegConfig(text_config=text, vision_config=VISION)), tok, crop

    if family == "groupvit":
        vision = {**VISION, "num_hidden_layers": 2, "depths": [1, 1], "num_group_tokens": [4, 0]}
        vision |= {"num_output_groups": [4, 2]}
        config = t.GroupViTConfig(text_config=text, vision_config=vision, projection_intermediate_dim=32)
        return t.GroupViTModel(config), tok, crop

    if family == "aimv2":
        return t.Aimv2Model(t.Aimv2Config(text_config=text, vision_config=VISION, projection_dim=24)), tok, crop

    assert family == "bert and vit"  # any two towers, side by side
    config = t.VisionTextDualEncoderConfig.from_vision_text_configs(t.ViTConfig(**VISION), t.BertConfig(**bert))
    return t.VisionTextDualEncoderModel(config), tok, crop


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["aimv2", "align", "altclip", "chinese_clip", "clipseg", "groupvit", "metaclip_2", "bert and vit"]
)
def test_further_families_give_what_their_models_give_of_one_text_and_one_picture(family: str, tmp_path: Path):
    model, tok, processor = further(family)
    folder = write(tmp_path / "model", model, tok, processor)
    encoder = HuggingFace(str(folder), text_batch=3)

    # with SDPA, aimv2 hides later tokens in batches with padding alone: one text at a time would be another feature
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    images = [random_image(seed, (30, 20 + seed)) for seed in range(3)]
    texts = []
    with torch.inference_mode():
        for text in TEXTS:
            tokens = tok(text, truncation=True, max_length=CONTEXT, return_tensors="pt")
            tokens = {key: tokens[key] for key in ("input_ids", "attention_mask")}
            texts.append(model.get_text_features(**tokens).pooler_output)
        rows = [model.get_image_features(**processor(image, return_tensors="pt")).pooler_output for image in images]

    expected = torch.cat(texts)
    assert expected.std(dim=0).min() > 1e-3
    torch.testing.assert_close(encoder.encode_text(TEXTS), expected, atol=1e-5, rtol=1e-4)

    features = encoder.encode_image(torch.stack([encoder.transform(image) for image in images]))
    torch.testing.assert_close(features, torch.nn.functional.normalize(torch.cat(rows)), atol=1e-5, rtol=1e-4)

    scale = 1 / model.temperature.item() if family == "align" else model.logit_scale.exp().item()
    assert encoder.logit_scale == pytest.approx(scale)


def test_features_that_are_no_vector_are_refused(tmp_path: Path):
    """FLAVA gives one for every patch."""
    t, tok = transformers, tokenizer()
    config = t.FlavaConfig(
        image_config=VISION,
        text_config=text_config(tok, type_vocab_size=2),
        multimodal_config={
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
        },
        image_codebook_config={"num_groups": 1, "hidden_size": 8, "vocab_size": 8, "num_blocks_per_group": 1},
        hidden_size=32,
        projection_dim=24,
    )

    processor = t.CLIPImageProcessor(**SQUARE)
    encoder = HuggingFace(str(write(tmp_path / "flava", t.FlavaModel(config), tok, processor)))
    with pytest.raises(EncoderError, match=r"FlavaModel gives features of shape \(1, 5, 24\), expected one vector"):
        encoder.encode_image(encoder.transform(random_image(0))[None])
