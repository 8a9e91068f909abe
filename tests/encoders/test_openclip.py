"""open_clip's door: trimmed texts equal untrimmed ones, and nothing wrong is loaded in silence."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from shard_files import encoded
from tiny_model import TINY
from torch import Tensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.encoders.openclip import OpenClip, Towers
from ood_lightning.errors import EncoderError, SourceError

CPU = torch.device("cpu")
TEXTS = [
    "dog",
    "a photo of a very large and rather old dog.",
    "!",
    "wow! so much! fun!",
    "",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    "cat",
    "the naïve café 猫",
    "dog!",
    "!%",  # here the exclamation mark is token 0, the number of the padding
]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("something tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def of(model: torch.nn.Module, text_batch: int = 4, context: int = 16) -> OpenClip:
    """An encoder around a model, as :meth:`OpenClip.load` leaves it."""
    torch.manual_seed(1)
    for parameter in model.parameters():  # init leaves some at zero, which would hide faults
        torch.nn.init.normal_(parameter, std=0.1)
    tokenizer = open_clip.SimpleTokenizer(context_length=context)
    encoder = OpenClip("local-dir:none", text_batch=text_batch)
    encoder._towers = Towers(model.eval().requires_grad_(False), None, tokenizer)
    return encoder


def lengths(encoder: OpenClip, monkeypatch: pytest.MonkeyPatch, module: Any) -> list[int]:
    """Numbers of tokens that a text transformer is given."""
    seen: list[int] = []
    original = module.forward

    def spy(x: Tensor, *args: Any, **options: Any) -> Tensor:
        seen.append(x.shape[1])
        found: Tensor = original(x, *args, **options)
        return found

    monkeypatch.setattr(module, "forward", spy)
    return seen


def whole(encoder: OpenClip, texts: list[str] = TEXTS) -> Tensor:
    """The model's own way, every text at full context."""
    model, _, tokenizer = encoder._towers
    with torch.inference_mode():
        found: Tensor = model.encode_text(tokenizer(texts)).float()
    return found


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> OpenClip:
    encoder = OpenClip(f"local-dir:{tiny_model}", text_batch=2)
    encoder.load(CPU)
    return encoder


@pytest.mark.parametrize("text_batch", [1, 2, 4, 512])
def test_a_causal_tower_gives_the_same_features_for_trimmed_texts(monkeypatch: pytest.MonkeyPatch, text_batch: int):
    encoder = of(CLIP(**TINY), text_batch)
    seen = lengths(encoder, monkeypatch, encoder._towers[0].transformer)
    found = encoder.encode_text(TEXTS)
    assert max(seen) <= 16
    if text_batch < 512:
        assert min(seen) <= 4  # start, one token, end: it did trim
    torch.testing.assert_close(found, whole(encoder), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", [{"proj_bias": True}, {"proj_type": "none", "width": 16}])
def test_other_projections_of_a_plain_tower(change: dict[str, object]):
    encoder = of(CLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], **change}}))
    torch.testing.assert_close(encoder.encode_text(TEXTS), whole(encoder), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "trimmed"),
    [
        ({}, True),  # causal, reads the end-of-text token
        ({"no_causal_mask": True, "pool_type": "last", "proj_bias": True}, False),  # SigLIP
        ({"no_causal_mask": True}, False),  # attends to what follows, also the padding
        ({"pool_type": "last"}, False),
        ({"pool_type": "first", "no_causal_mask": True}, False),
    ],
    ids=["causal", "siglip", "no mask", "last", "first"],
)
@pytest.mark.parametrize("kind", [CLIP, CustomTextCLIP])
def test_only_causal_towers_that_read_the_end_are_trimmed(
    monkeypatch: pytest.MonkeyPatch, kind: Any, change: dict[str, object], trimmed: bool
):
    encoder = of(kind(**{**TINY, "text_cfg": {**TINY["text_cfg"], **change}}))
    model = encoder._towers[0]
    seen = lengths(encoder, monkeypatch, model.transformer if kind is CLIP else model.text.transformer)
    found = encoder.encode_text(TEXTS)
    assert (min(seen) < 16) == trimmed
    torch.testing.assert_close(found, whole(encoder), atol=1e-5, rtol=1e-5)


def test_a_tower_with_a_class_token_keeps_its_padding():
    encoder = of(CustomTextCLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], "embed_cls": True}}))
    torch.testing.assert_close(encoder.encode_text(TEXTS), whole(encoder), atol=1e-5, rtol=1e-5)


def test_untrimmed_would_be_wrong_without_a_causal_mask():
    """What the tests above would miss if a tower gave one feature for all texts."""
    encoder = of(CustomTextCLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True}}))
    model, _, tokenizer = encoder._towers
    tokens = tokenizer(["dog"])
    with torch.inference_mode():
        cut = model.encode_text(tokens[:, :3])
    assert (cut - whole(encoder, ["dog"])).abs().max() > 1e-3


def test_the_order_of_texts_is_kept(tiny: OpenClip):
    shuffled = [TEXTS[i] for i in (3, 8, 0, 5, 9, 2, 7, 1, 6, 4)]
    found, alone = tiny.encode_text(shuffled), torch.cat([tiny.encode_text([text]) for text in shuffled])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    assert len({tuple(row) for row in found.tolist()}) == len(TEXTS)


def test_many_texts_pass_the_sorting_chunks(tiny: OpenClip):
    texts = [f"{'very ' * (i % 7)}number {i}" for i in range(300)]  # 64 * text_batch are sorted together: 128 here
    ticks: list[int] = []
    found = tiny.encode_text(texts, ticks.append)
    assert sum(ticks) == 300
    torch.testing.assert_close(found, whole(tiny, texts), atol=1e-5, rtol=1e-5)


def test_a_text_longer_than_the_context_is_cut_by_the_tokenizer_and_keeps_its_end(tiny: OpenClip):
    """Words beyond the context do not count; the last token becomes end-of-text, as open_clip's tokenizer has it."""
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    tokens = tiny._towers[2]([long, long + " fifteen sixteen"])
    assert tokens.shape == (2, 16)
    assert tokens[1].tolist() == tokens[0].tolist()
    assert tokens[1, -1] == 49407
    first, second = tiny.encode_text([long, long + " fifteen sixteen"])
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_an_exclamation_mark_is_not_taken_for_padding(tiny: OpenClip):
    one, two, none = tiny.encode_text(["dog!", "dog! !", "dog"])
    assert (one - two).abs().max() > 1e-4
    assert (one - none).abs().max() > 1e-4


def test_image_features_are_the_models_own_at_length_one(tiny: OpenClip):
    images = torch.stack([tiny.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    assert images.shape == (3, 3, 16, 16)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(tiny._towers[0].encode_image(images), dim=-1)
    torch.testing.assert_close(tiny.encode_image(images), expected, atol=1e-6, rtol=1e-6)


def test_the_scale_is_the_multiplier_itself(tiny: OpenClip):
    assert tiny.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32_features_near_those_of_full(tiny: OpenClip, tiny_model: Path, precision: Any):
    half = OpenClip(f"local-dir:{tiny_model}", precision=precision, text_batch=2)
    half.load(CPU)
    images = torch.stack([tiny.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    for found, expected in (
        (half.encode_image(images), tiny.encode_image(images)),
        (half.encode_text(TEXTS), tiny.encode_text(TEXTS)),
    ):
        assert found.dtype == torch.float32
        assert torch.cosine_similarity(found, expected).min() > 0.99


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_tower_that_open_clip_cannot_compute_in_16_bits_is_told_in_words(precision: Any):
    """CoCa's texts have a class token in float32."""
    text = {**TINY["text_cfg"], "embed_cls": True}  # type: ignore[dict-item]
    made = CustomTextCLIP(**{**TINY, "text_cfg": text}, cast_dtype=open_clip.get_cast_dtype(precision))  # type: ignore[arg-type]
    open_clip.convert_weights_to_lp(made, open_clip.get_cast_dtype(precision))
    encoder = of(made)
    encoder.precision = precision
    with pytest.raises(EncoderError, match=f"open_clip cannot compute it in {precision} .*precision: fp32"):
        encoder.encode_text(TEXTS)


def test_building_and_naming_an_encoder_loads_nothing(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_clip, "create_model_and_transforms", None)
    encoder = OpenClip(f"local-dir:{tiny_model}")
    assert len(encoder.fingerprint) == 16
    assert encoder._towers is None
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
    own = OpenClip(f"local-dir:{tiny_model}").fingerprint
    assert OpenClip(f"local-dir:{same}").fingerprint == own
    assert OpenClip(f"local-dir:{tiny_model}", text_batch=3, cache_dir="x").fingerprint == own
    named = [OpenClip("ViT-B-32", tag) for tag in ("laion2b_e16", "laion2b_s34b_b79k")]
    others = [
        OpenClip(f"local-dir:{weights}"),
        OpenClip(f"local-dir:{preprocess}"),
        OpenClip(f"local-dir:{tiny_model}", precision="bf16"),
        OpenClip(f"local-dir:{tiny_model}", feature_dtype="float32"),
        *named,
    ]
    assert len({own, *(encoder.fingerprint for encoder in others)}) == 7


def test_the_fingerprint_of_a_checkpoint_file_is_that_of_its_bytes(tmp_path: Path):
    found = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "w.pt").write_bytes(content)
        found.append(OpenClip("ViT-B-32", str(tmp_path / "w.pt")).fingerprint)
    assert found[0] == found[2] != found[1]


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
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str, quick: bool, right: str | None
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # the variable is read once, at import
    held = tmp_path / f"models--{repository.replace('/', '--')}"
    (held / "refs").mkdir(parents=True)
    (held / "refs" / "main").write_text("0" * 40)
    snapshot = Path(shutil.copytree(tiny_model, held / "snapshots" / ("0" * 40)))
    config = json.loads((snapshot / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = quick
    (snapshot / "open_clip_config.json").write_text(json.dumps(config))
    encoder = OpenClip(f"hf-hub:{repository}", cache_dir=str(tmp_path))
    if right is None:
        assert encoder.encode_text(TEXTS).shape == (len(TEXTS), 16)
    else:
        with pytest.raises(EncoderError, match=f"is wrong about QuickGELU.*Use {right}$"):
            encoder.load(CPU)


def test_a_missing_builtin_model_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OOD_LIGHTNING_ASSETS", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="comes with a checkout"):
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
