"""Tower and patch features against slow computations in float64, written from the formulas."""

import copy
import math
from typing import Any

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from tiny_model import TINY
from torch import Tensor, nn
from torch.nn.functional import normalize

from ood_lightning.encoders.openclip import OpenClip, Towers
from ood_lightning.encoders.vision import capture_intermediate
from ood_lightning.errors import EncoderError

VIT = {**TINY["vision_cfg"], "layers": 2}  # type: ignore[dict-item]
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
BOTH = ("tower", "patches")


def of(vision: dict[str, Any], kind: Any = CLIP, precision: Any = "fp32", **more: Any) -> OpenClip:
    """An encoder around a random model; no parameter is left at a value that would hide faults."""
    model = kind(**{**TINY, "vision_cfg": vision, **more})
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=draw)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=draw)
            module.weight.data.abs_().add_(0.5)

    encoder = OpenClip("local-dir:none", precision=precision)
    encoder._towers = Towers(model.eval().requires_grad_(False), None, None)
    return encoder


def images(encoder: OpenClip, n: int = 3) -> Tensor:
    size = encoder._towers.model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(2))


def in_double(encoder: OpenClip) -> Any:
    return copy.deepcopy(encoder._towers.model.visual).double()


def layer_norm(x: Tensor, norm: Any) -> Tensor:
    centred = x - x.mean()
    scaled: Tensor = centred / (centred.square().mean() + norm.eps).sqrt() * norm.weight + norm.bias
    return scaled


def activated(x: Tensor, quick: bool) -> Tensor:
    if quick:
        return x / (1 + (-1.702 * x).exp())
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def vit_patch(visual: Any, token: Tensor, quick: bool) -> Tensor:
    """One token through the last block's value path, equation by equation."""
    block, width = visual.transformer.resblocks[-1], len(token)
    scales = [getattr(layer, "gamma", torch.ones(width, dtype=torch.float64)) for layer in (block.ls_1, block.ls_2)]
    into, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    value = into[2 * width :] @ layer_norm(token, block.ln_1) + bias[2 * width :]
    v = token + scales[0] * (block.attn.out_proj.weight @ value + block.attn.out_proj.bias)
    hidden = activated(block.mlp.c_fc.weight @ layer_norm(v, block.ln_2) + block.mlp.c_fc.bias, quick)
    out = v + scales[1] * (block.mlp.c_proj.weight @ hidden + block.mlp.c_proj.bias)
    projected: Tensor = layer_norm(out, visual.ln_post) @ visual.proj
    return projected


@pytest.mark.parametrize(
    ("change", "kind", "more"),
    [
        ({}, CLIP, {}),
        ({}, CustomTextCLIP, {}),
        ({}, CLIP, {"quick_gelu": True}),
        ({"ls_init_value": 0.5}, CLIP, {}),
        ({"pool_type": "avg", "final_ln_after_pool": True, "no_ln_pre": True}, CLIP, {}),
        ({"patch_dropout": 0.5}, CLIP, {}),
    ],
    ids=["plain", "custom text", "quick gelu", "layer scale", "average", "patch dropout"],
)
def test_vit_columns_equal_the_formulas(change: dict[str, Any], kind: Any, more: dict[str, Any]):
    encoder = of({**VIT, **change}, kind, **more)
    image = images(encoder)
    columns = encoder.encode_columns(image, BOTH)
    visual = in_double(encoder)
    tokens = visual.transformer.resblocks[0](visual._embeds(image.double()))

    patches = torch.stack([torch.stack([vit_patch(visual, t, bool(more)) for t in row[1:]]) for row in tokens])
    assert columns["patches"].shape == (3, 4, 16)
    torch.testing.assert_close(columns["patches"].double(), normalize(patches, dim=-1), atol=2e-5, rtol=0)
    assert (columns["patches"][:, 0] - columns["patches"][:, 1]).abs().max() > 0.01  # positions differ

    last = visual.transformer.resblocks[1](tokens)
    pooled = [row[1:].mean(0) if change.get("pool_type") == "avg" else row[0] for row in last]
    tower = torch.stack([layer_norm(x, visual.ln_post) for x in pooled])
    assert columns["tower"].shape == (3, 32)
    torch.testing.assert_close(columns["tower"].double(), tower, atol=2e-5, rtol=1e-4)


def test_a_patch_is_what_the_last_block_makes_of_a_token_alone():
    """Attention over one key is its value, so the whole block may serve as a second oracle."""
    encoder = of(VIT)
    image, visual = images(encoder), encoder._towers.model.visual
    tokens = visual.transformer.resblocks[0](visual._embeds(image))
    alone = visual.transformer.resblocks[1](tokens[:, 1:].reshape(-1, 1, 32))[:, 0]
    expected = normalize(visual.ln_post(alone) @ visual.proj, dim=-1).view(3, 4, 16)
    torch.testing.assert_close(encoder.encode_columns(image, ["patches"])["patches"], expected, atol=1e-5, rtol=0)


def resnet_tower(pool: Any, positions: list[Tensor]) -> Tensor:
    """The attention pool of one map, head by head: the mean of its positions attends to itself and to them."""
    tokens = [sum(positions) / len(positions), *positions]
    tokens = [token + embedding for token, embedding in zip(tokens, pool.positional_embedding, strict=True)]
    query = pool.q_proj.weight @ tokens[0] + pool.q_proj.bias
    keys = [pool.k_proj.weight @ token + pool.k_proj.bias for token in tokens]
    values = [pool.v_proj.weight @ token + pool.v_proj.bias for token in tokens]

    heads = []
    for head in range(pool.num_heads):
        part = slice(64 * head, 64 * (head + 1))
        weights = torch.stack([query[part] @ key[part] / 8 for key in keys]).softmax(0)
        heads.append(torch.stack([w * value[part] for w, value in zip(weights, values, strict=True)]).sum(0))
    return torch.cat(heads)


def test_resnet_columns_equal_the_formulas():
    encoder = of(RESNET)
    image = images(encoder)
    columns = encoder.encode_columns(image, BOTH)
    visual = in_double(encoder)
    pool, x = visual.attnpool, image.double()
    for part in (visual.stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = part(x)
    assert x.shape == (3, 256, 2, 2)

    positions = [[row[:, i, j] for i in range(2) for j in range(2)] for row in x]
    tower = torch.stack([resnet_tower(pool, row) for row in positions])
    torch.testing.assert_close(columns["tower"].double(), tower, atol=1e-4 * float(tower.abs().max()), rtol=0)
    projected = normalize(tower @ pool.c_proj.weight.T + pool.c_proj.bias, dim=-1)
    torch.testing.assert_close(columns["image"].double(), projected, atol=2e-5, rtol=0)

    values = [pool.v_proj.weight @ position + pool.v_proj.bias for row in positions for position in row]
    patches = torch.stack([pool.c_proj.weight @ value + pool.c_proj.bias for value in values]).view(3, 4, 16)
    torch.testing.assert_close(columns["patches"].double(), normalize(patches, dim=-1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("vision", [VIT, RESNET], ids=["vit", "resnet"])
def test_image_features_are_the_same_with_columns_and_without(vision: dict[str, Any]):
    encoder = of(vision)
    image = images(encoder)
    assert list(encoder.encode_columns(image)) == ["image"]
    for extra_features in (("tower",), ("patches",), BOTH):
        columns = encoder.encode_columns(image, extra_features)
        assert set(columns) == {"image", *extra_features}
        assert torch.equal(columns["image"], encoder.encode_image(image))

    assert not [m for m in encoder._towers.model.modules() if m._forward_hooks]


@pytest.mark.parametrize("vision", [VIT, RESNET], ids=["vit", "resnet"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32_columns_near_those_of_full(vision: dict[str, Any], precision: Any):
    full = of(vision)
    half = of(vision, precision=precision, cast_dtype=torch.bfloat16 if precision == "bf16" else torch.float16)
    from open_clip.model import convert_weights_to_lp

    convert_weights_to_lp(half._towers.model, torch.bfloat16 if precision == "bf16" else torch.float16)
    image = images(full)
    exact = full.encode_columns(image, BOTH)
    for name, rows in half.encode_columns(image, BOTH).items():
        assert rows.dtype == torch.float32
        assert torch.cosine_similarity(rows, exact[name], dim=-1).min() > 0.98, name


def test_the_built_in_model_has_both():
    encoder = OpenClip("builtin:pictograms/model", extra_features=BOTH)
    columns = encoder.encode_columns(torch.randn(2, 3, 64, 64), encoder.extra_features)
    assert {name: tuple(rows.shape) for name, rows in columns.items()} == {
        "image": (2, 192),
        "tower": (2, 768),
        "patches": (2, 4, 192),
    }
    pool = encoder._towers.model.visual.attnpool
    torch.testing.assert_close(normalize(pool.c_proj(columns["tower"]), dim=-1), columns["image"], atol=1e-5, rtol=0)


def test_a_tower_with_an_attention_pool_has_no_patches():
    encoder = of({**VIT, "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 3})
    image = images(encoder)
    with pytest.raises(EncoderError, match=r"ends in an attention pool.*Leave `patches` out"):
        encoder.encode_columns(image, ["patches"])
    columns = encoder.encode_columns(image, ["tower"])
    projected = normalize(columns["tower"] @ encoder._towers.model.visual.proj, dim=-1)
    torch.testing.assert_close(projected, columns["image"], atol=1e-5, rtol=0)


def test_blocks_of_another_making_have_no_patches():
    encoder = of({**VIT, "block_type": "custom", "scale_attn": True})
    with pytest.raises(EncoderError, match="blocks of its own making"):
        encoder.encode_columns(images(encoder), ["patches"])


@pytest.mark.parametrize(
    ("change", "before"),
    [
        ({"timm_proj": "linear"}, lambda v, t: v.head.proj(t)),
        ({"timm_proj": "mlp"}, lambda v, t: v.head.mlp(t)),
        ({"timm_proj": ""}, lambda v, t: v.trunk.get_classifier()(t)),
    ],
    ids=["linear", "mlp", "classifier"],
)
def test_a_tower_of_timm_has_its_output_before_the_projection(change: dict[str, Any], before: Any):
    encoder = of({"timm_model_name": "test_vit", "timm_pool": "avg", "image_size": 160, **change}, CustomTextCLIP)
    image = images(encoder)
    columns = encoder.encode_columns(image, ["tower"])
    projected = normalize(before(encoder._towers.model.visual, columns["tower"]), dim=-1)
    torch.testing.assert_close(projected, columns["image"], atol=1e-5, rtol=0)
    with pytest.raises(EncoderError, match="a TimmModel, has no patches here"):
        encoder.encode_columns(image, BOTH)


def test_a_tower_of_timm_without_a_projection_has_nothing_before_it():
    vision = {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "none", "image_size": 160}
    encoder = of(vision, CustomTextCLIP, embed_dim=64)
    with pytest.raises(EncoderError, match="no projection follows"):
        encoder.encode_columns(images(encoder), ["tower"])


def test_hooks_are_gone_after_an_error_too():
    visual = of(VIT)._towers.model.visual
    with pytest.raises(ZeroDivisionError), capture_intermediate(visual, BOTH, "x"):
        raise ZeroDivisionError
    assert not [module for module in visual.modules() if module._forward_hooks]


def test_an_encoder_without_further_columns_says_so():
    from ood_lightning.encoders.base import Encoder

    class Plain(OpenClip):
        encode_columns = Encoder.encode_columns

    with pytest.raises(EncoderError, match="'x' has no tower and no patches: name no column in `extra_features`"):
        Plain("x").encode_columns(torch.zeros(1), BOTH)


def test_columns_do_not_touch_the_fingerprint():
    """Label sets, text features and image features without further columns stay what they were."""
    plain = OpenClip("ViT-B-16-quickgelu", "openai")
    assert plain.fingerprint == "6e037966cd7a858d"  # as before there were columns and presets
    assert OpenClip("ViT-B-16-quickgelu", "openai", extra_features=BOTH).fingerprint == plain.fingerprint
