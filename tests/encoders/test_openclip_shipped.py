"""The shipped encoders: every config builds the model that the table says, with the preprocessing of its weights."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import pytest
import torch
import yaml
from meta_towers import feature_shapes, on_meta, tag_file
from open_clip.constants import INCEPTION_MEAN, OPENAI_DATASET_MEAN
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from ood_lightning.data.cards.offered import offered
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.places import shipped

ROWS = {one.name: one for one in offered()}
CONFIGS = {path.stem: path for path in sorted((shipped("configs") / "encoders").glob("*.yaml"))}
TOWERS = "ood_lightning.encoders.openclip.OpenClip"

pytestmark = pytest.mark.usefixtures("no_network")


class Pixels(NamedTuple):
    """How a picture becomes a tensor, as open_clip's table of weights has it."""

    mean: tuple[float, ...]
    interpolation: str
    resize: str


CLIP = Pixels(OPENAI_DATASET_MEAN, "bicubic", "shortest")
SQUASHED = CLIP._replace(resize="squash")
SIGLIP = Pixels(INCEPTION_MEAN, "bicubic", "squash")
PERCEPTION = SIGLIP._replace(interpolation="bilinear")
FAMILIES = {"SigLIP 2": SIGLIP, "Perception Encoder, core": PERCEPTION}
# in which a model differs from its family, or from CLIP's own
OTHERS = {
    "vit_h14_dfn5b": SQUASHED,
    "vit_h14_378_dfn5b": SQUASHED,
    "vit_l14_laion2b": CLIP._replace(mean=INCEPTION_MEAN),
    **dict.fromkeys(("vit_b16_siglip", "vit_l16_siglip_256", "vit_so400m14_siglip", "vit_so400m14_siglip_384"), SIGLIP),
    **dict.fromkeys(("mobileclip2_s0", "mobileclip2_s2", "mobileclip2_b"), Pixels((0, 0, 0), "bilinear", "shortest")),
    **dict.fromkeys(("mobileclip2_s3", "mobileclip2_s4"), CLIP._replace(interpolation="bilinear")),
    **dict.fromkeys(("metaclip2_h14_378", "metaclip2_bigg14_378"), SQUASHED),
}


def settings(name: str) -> dict[str, Any]:
    """What a config says of its encoder."""
    content: dict[str, Any] = yaml.safe_load(CONFIGS[name].read_text(encoding="utf-8"))
    return content


TAGGED = [name for name in CONFIGS if "pretrained" in settings(name)["init_args"]]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tags have no weights here, which open_clip would warn of."""
    tag_file(monkeypatch, "")
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def built(name: str) -> Any:
    """The model of a config on the `meta` device."""
    init_args = settings(name)["init_args"]
    return on_meta(init_args["model"], init_args["pretrained"])


def test_the_table_has_every_config_and_one_encoder_for_each_device():
    assert ROWS.keys() == CONFIGS.keys()
    assert len(ROWS) == len(offered())
    assert sorted(one.default for one in offered() if one.default) == ["cpu", "cuda"]
    assert all(one.free for one in offered() if one.default)


def test_configs_of_two_names_are_two_encoders():
    models = [tuple(sorted(settings(name)["init_args"].items())) for name in CONFIGS]
    assert len(set(models)) == len(models)


def test_every_model_of_the_four_later_families_that_open_clip_has_is_offered():
    later = ("SigLIP2", "PE-Core", "MobileCLIP2", "worldwide")
    known = {(model, tag) for model, tag in open_clip.list_pretrained() if any(word in model for word in later)}
    known.remove(("ViT-H-14-worldwide", "metaclip2_worldwide"))  # its weights were made with QuickGELU
    configs = {(settings(name)["init_args"]["model"], settings(name)["init_args"]["pretrained"]) for name in TAGGED}
    assert known <= configs


@pytest.mark.slow
@pytest.mark.parametrize("name", TAGGED)
def test_a_config_builds_what_the_table_and_the_weights_say(name: str):
    content, row = settings(name), ROWS[name]
    assert content["class_path"] == TOWERS
    encoder = OpenClip(**content["init_args"])
    assert len(encoder.fingerprint) == 16, "model, tag and activation belong together, or this would have raised"

    towers = built(name)
    of_tag = open_clip.get_pretrained_cfg(encoder.model, encoder.pretrained)
    is_quick = any(type(part).__name__ == "QuickGELU" for part in towers.modules())
    assert is_quick == of_tag.get("quick_gelu", False)

    assert sum(parameter.numel() for parameter in towers.parameters()) / 1e6 == pytest.approx(row.params, abs=0.006)
    assert towers.logit_scale.numel() == 1
    assert (towers.logit_bias is not None) == ("SigLIP" in encoder.model)
    assert encoder.widths()["image"] == row.dim

    pixels = towers.visual.preprocess_cfg
    got = Pixels(tuple(pixels["mean"]), pixels["interpolation"], pixels["resize_mode"])
    assert got == OTHERS.get(name, FAMILIES.get(row.family, CLIP))
    assert open_clip.transform.to_2tuple(towers.visual.image_size) == (row.pixels, row.pixels)

    transform = image_transform_v2(PreprocessCfg(**pixels), is_train=False)
    black = transform(Image.new("RGB", (60, 40)))
    assert black.shape == (3, row.pixels, row.pixels)
    expected = -torch.tensor(pixels["mean"]) / torch.tensor(pixels["std"])
    torch.testing.assert_close(black[:, 7, 9], expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", TAGGED)
def test_pictures_and_texts_get_features_of_the_tables_length(name: str):
    dim = ROWS[name].dim
    assert feature_shapes(built(name)) == ((1, dim), (2, dim))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobileclip2_s0", "pe_core_t16_384", "vit_b16_openai", "vit_b16_laion2b"])
def test_random_weights_go_all_the_way_from_a_config_to_features(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Those of up to 150 million parameters whose tokenizer comes with open_clip."""
    encoder = OpenClip(**settings(name)["init_args"], text_batch=2)
    torch.manual_seed(0)
    towers = open_clip.create_model(encoder.model, pretrained=encoder.pretrained, load_weights=False)
    weights = tmp_path / "weights.pt"
    torch.save(towers.state_dict(), weights)
    tag_file(monkeypatch, str(weights))
    monkeypatch.setattr("ood_lightning.encoders.openclip.hub_files", lambda model, tag: None)

    encoder.load(torch.device("cpu"))
    picture = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    image, texts = encoder.encode_image(encoder.transform(picture)[None]), encoder.encode_text(["dog", "a cat."])

    assert encoder.image_shape == (3, ROWS[name].pixels, ROWS[name].pixels)
    assert (image.shape, texts.shape) == ((1, ROWS[name].dim), (2, ROWS[name].dim))
    with torch.inference_mode():
        expected = towers.eval().encode_image(encoder.transform(picture)[None], normalize=True)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    assert encoder.logit_scale == pytest.approx(towers.logit_scale.exp().item())


def test_the_model_that_comes_along_is_as_the_table_says():
    encoder, row = OpenClip(**settings("pictograms")["init_args"]), ROWS["pictograms"]
    encoder.load(torch.device("cpu"))
    assert encoder.image_shape == (3, row.pixels, row.pixels)
    assert encoder.encode_text(["dog"]).shape == (1, row.dim)
    params = sum(parameter.numel() for parameter in encoder._towers.model.parameters())
    assert params / 1e6 == pytest.approx(row.params, abs=0.006)
