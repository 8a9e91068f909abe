"""transformers' door: batches give what its models give of one picture and one text; nothing wrong loads in silence."""

import io
import json
import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from shard_files import encoded
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.pixels import split
from ood_lightning.encoders.huggingface import HuggingFace
from ood_lightning.errors import EncoderError

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tiny_transformers import CONTEXT, VISION, text_config, tokenizer, write, write_clip, write_siglip  # noqa: E402

CPU = torch.device("cpu")
CLASS = "ood_lightning.encoders.huggingface.HuggingFace"
TEXTS = [
    "dog",
    "a photo of a dog.",
    "",
    "one two three four five six seven eight one two three four five six seven eight one two three",
    "CAT",
    "the naïve café 猫",
    "a",
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("hf") / "clip")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_siglip(tmp_path_factory.mktemp("hf") / "siglip")


@pytest.fixture(params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def picture(seed: int, size: tuple[int, int] = (37, 24)) -> Image.Image:
    noise = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(noise.to(torch.uint8).numpy())


def as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def one_text_at_a_time(folder: Path, texts: list[str] = TEXTS) -> Tensor:
    """transformers' own forward: CLIP unpadded, SigLIP at its context and without a mask, as its model card says."""
    model, tok = (
        transformers.AutoModel.from_pretrained(folder).eval(),
        transformers.AutoTokenizer.from_pretrained(folder),
    )
    rows = []
    with torch.inference_mode():
        for text in texts:
            if model.config.model_type == "siglip":
                given = tok(
                    text.lower(), padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt"
                )
                given = {"input_ids": given["input_ids"]}
            else:
                given = tok(text, truncation=True, max_length=CONTEXT, return_tensors="pt")
            rows.append(model.get_text_features(**given).pooler_output)
    return torch.cat(rows)


@pytest.mark.parametrize("text_batch", [1, 3, 512])
def test_texts_in_batches_are_those_of_one_at_a_time(folder: Path, text_batch: int):
    found, expected = HuggingFace(str(folder), text_batch=text_batch).encode_text(TEXTS), one_text_at_a_time(folder)
    assert expected.std(dim=0).min() > 0.01  # or the comparison could not fail
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_pictures_are_those_of_one_at_a_time(folder: Path):
    encoder, pictures = HuggingFace(str(folder)), [picture(seed, (20 + 9 * seed, 24)) for seed in range(4)]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        expected = [model.get_image_features(**own(one, return_tensors="pt")).pooler_output for one in pictures]
    found = encoder.encode_image(torch.stack([encoder.transform(one) for one in pictures]))
    torch.testing.assert_close(found, torch.nn.functional.normalize(torch.cat(expected)), atol=1e-5, rtol=1e-5)
    assert (found @ found.T).min() < 0.999


def test_what_is_compared_are_the_logits_of_the_model_itself(folder: Path):
    """Features and scale together, against the whole model's forward; SigLIP's bias is no part of a cosine."""
    encoder = HuggingFace(str(folder))
    model = transformers.AutoModel.from_pretrained(folder).eval()
    image = torch.stack([encoder.transform(picture(seed)) for seed in range(3)])
    ids = tokenizer()(["a dog", "a cat"], padding="max_length", max_length=CONTEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = model(input_ids=ids, pixel_values=image).logits_per_image
    texts = torch.nn.functional.normalize(encoder.encode_text(["a dog", "a cat"]))
    found = (
        encoder.logit_scale * encoder.encode_image(image) @ texts.T
        + torch.as_tensor(getattr(model, "logit_bias", 0.0)).item()
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def spied(encoder: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    encoder.load(CPU)
    model, seen = encoder._towers.model, []  # type: ignore[union-attr]
    original = model.get_text_features
    monkeypatch.setattr(model, "get_text_features", lambda **given: seen.append(given) or original(**given))
    return seen


def test_causal_texts_are_trimmed_and_siglips_keep_their_padding(
    clip: Path, siglip: Path, monkeypatch: pytest.MonkeyPatch
):
    trimmed, kept = (HuggingFace(str(folder), text_batch=2) for folder in (clip, siglip))
    given = spied(trimmed, monkeypatch)
    trimmed.encode_text(TEXTS)
    widths = [some["input_ids"].shape[1] for some in given]
    assert min(widths) <= 4 < max(widths) == CONTEXT
    given = spied(kept, monkeypatch)
    kept.encode_text(TEXTS)
    assert {some["input_ids"].shape[1] for some in given} == {CONTEXT}
    assert all(some.keys() == {"input_ids"} for some in given)


def test_siglip_without_its_padding_would_be_another_feature(siglip: Path):
    """What the test above would miss if the padding did not matter."""
    model, tok = transformers.AutoModel.from_pretrained(siglip).eval(), tokenizer()
    with torch.inference_mode():
        short = model.get_text_features(input_ids=tok("dog", return_tensors="pt")["input_ids"]).pooler_output
    assert (short - one_text_at_a_time(siglip, ["dog"])).abs().max() > 0.01


def test_siglips_texts_are_lower_cased_and_clips_left_to_its_tokenizer(clip: Path, siglip: Path):
    upper, lower = HuggingFace(str(siglip)).encode_text(["A Dog", "a dog"])
    torch.testing.assert_close(upper, lower, atol=1e-5, rtol=0)
    upper, lower = HuggingFace(str(clip)).encode_text(["A Dog", "a dog"])
    assert (upper - lower).abs().max() > 0.01


def test_texts_that_were_cut_are_told(folder: Path, caplog: pytest.LogCaptureFixture):
    exact = " dog" * (CONTEXT - 2)  # and a token at either end
    assert len(tokenizer()(exact)["input_ids"]) == CONTEXT
    HuggingFace(str(folder)).encode_text(["dog", exact])
    assert not caplog.messages
    HuggingFace(str(folder), text_batch=1).encode_text(["dog", exact + " dog", TEXTS[3]])
    assert caplog.messages == [
        f"2 of 3 texts are longer than the {CONTEXT} tokens that {folder} reads and were cut; the first: "
        f"{exact + ' dog'!r}"
    ]


def test_the_order_of_many_texts_is_kept(clip: Path):
    texts, ticks = [f"{'very ' * (i % 3)}{i}" for i in range(150)], []
    found = HuggingFace(str(clip), text_batch=1).encode_text(texts, ticks.append)  # 64 are sorted together
    assert sum(ticks) == 150
    torch.testing.assert_close(found, one_text_at_a_time(clip, texts), atol=1e-5, rtol=1e-5)


def test_the_transform_is_the_processors_own_and_goes_to_workers_as_bytes(folder: Path):
    encoder = HuggingFace(str(folder))
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    transform = pickle.loads(pickle.dumps(encoder.transform))
    first, rest = split(transform)
    for one in (picture(0), picture(1, (16, 16)), picture(2, (19, 90)), picture(3, (301, 200))):
        expected = own(one, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(transform(one), expected, atol=1e-6, rtol=0)
        handed = first(as_png(one))
        assert handed.dtype == torch.uint8
        torch.testing.assert_close(rest(handed[None])[0], expected, atol=1e-6, rtol=0)
    assert encoder.image_shape == (3, 16, 16)


def test_a_processor_that_scales_another_way_is_left_whole(clip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(clip, tmp_path / "scaled"))
    about = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**about, "rescale_factor": 1 / 127.5}))
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    transform = HuggingFace(str(folder)).transform
    expected = own(picture(0), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(transform(picture(0)), expected)
    first, rest = split(transform)
    assert torch.equal(rest(first(as_png(picture(0)))[None])[0], transform(picture(0)))  # nothing is left for later
    assert first(as_png(picture(0))).dtype == torch.float32


def test_the_scale_is_the_multiplier_itself_in_every_precision(clip: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(clip, tmp_path / "hundred"))
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "logit_scale": torch.tensor(math.log(100.0))}, folder / "model.safetensors", {"format": "pt"})
    for precision in ("fp32", "bf16", "fp16"):
        assert HuggingFace(str(folder), precision=precision).logit_scale == pytest.approx(100, rel=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32_features_near_those_of_full(folder: Path, precision: Any):
    full, half = HuggingFace(str(folder)), HuggingFace(str(folder), precision=precision)
    images = torch.stack([full.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    pairs = [(half.encode_image(images), full.encode_image(images)), (half.encode_text(TEXTS), full.encode_text(TEXTS))]
    for found, expected in pairs:
        assert found.dtype == torch.float32
        assert not torch.equal(found, expected)
        assert torch.cosine_similarity(found, expected).min() > 0.99
    again = half.in_fp32()
    torch.testing.assert_close(again.encode_image(images), full.encode_image(images))
    assert full.in_fp32() is full


def test_the_fingerprint_follows_everything_that_changes_features(clip: Path, tmp_path: Path):
    def changed(name: str, file: str) -> HuggingFace:
        folder = Path(shutil.copytree(clip, tmp_path / name))
        raw = bytearray((folder / file).read_bytes())
        raw[-2] ^= 1
        (folder / file).write_bytes(raw)
        return HuggingFace(str(folder))

    own = HuggingFace(str(clip)).fingerprint
    same = Path(shutil.copytree(clip, tmp_path / "same"))
    (same / "README.md").write_text("a model card")
    assert HuggingFace(str(same), text_batch=3, cache_dir="x").fingerprint == own
    others = [
        *(changed(name, name) for name in ("model.safetensors", "preprocessor_config.json", "tokenizer.json")),
        HuggingFace(str(clip), precision="bf16"),
        HuggingFace(str(clip), feature_dtype="float32"),
    ]
    assert len({own, *(encoder.fingerprint for encoder in others)}) == 6


def in_hub(folder: Path, cache: Path, model: str) -> str:
    """A hub's cache that holds a model at one commit."""
    repository = cache / f"models--{model.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    return str(cache)


def test_a_model_of_the_hub_is_known_by_its_commit(clip: Path, tmp_path: Path):
    hub = in_hub(clip, tmp_path, "org/tiny")
    main_, pinned = (HuggingFace("org/tiny", revision, cache_dir=hub) for revision in (None, COMMIT))
    other = HuggingFace("org/tiny", COMMIT[::-1], cache_dir=hub)
    assert main_.fingerprint == pinned.fingerprint != other.fingerprint
    assert pinned.name == f"org/tiny@{COMMIT}"
    torch.testing.assert_close(main_.encode_text(TEXTS), HuggingFace(str(clip)).encode_text(TEXTS))


def test_a_commit_names_the_features_without_the_hub(tmp_path: Path):
    assert len(HuggingFace("org/none", COMMIT, cache_dir=str(tmp_path)).fingerprint) == 16


@pytest.mark.parametrize(
    ("model", "revision", "words"),
    [
        ("org/none", None, r"repository 'org/none' is not in its cache and cannot be fetched"),
        ("org/none", COMMIT, rf"'org/none@{COMMIT}' cannot be loaded: .*Name a model with safetensors weights"),
        ("./none", None, r"there is no such folder\. A model of the hub is named org/name"),
        ("none", None, r"there is no such folder"),
        (".", "main", r"is a folder, which has no revision 'main'"),
    ],
)
def test_what_is_not_there_is_refused(model: str, revision: str | None, words: str):
    with pytest.raises(EncoderError, match=words):
        HuggingFace(model, revision).load(CPU)


def test_weights_that_would_be_random_are_refused(clip: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(clip, tmp_path / "short"))
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    words = r"1 weights of CLIPModel are not in the checkpoint, visual_projection.weight for one, and would be random"
    with pytest.raises(EncoderError, match=words):
        HuggingFace(str(folder)).load(CPU)


@pytest.mark.parametrize(
    ("model", "right"),
    [
        ("apple/DFN5B-CLIP-ViT-H-14", None),
        ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "model: ViT-B-16, pretrained: laion2b_s34b_b88k"),
    ],
)
def test_a_config_with_the_wrong_activation_is_refused(clip: Path, tmp_path: Path, model: str, right: str | None):
    """The tiny model's is QuickGELU, transformers' default for CLIP."""
    encoder = HuggingFace(model, cache_dir=in_hub(clip, tmp_path, model))
    if right is None:
        encoder.load(CPU)
    else:
        with pytest.raises(EncoderError, match=rf"is wrong about QuickGELU.*Use .*OpenClip, {right}$"):
            encoder.load(CPU)


def test_a_model_without_a_text_tower_is_refused(tmp_path: Path):
    vision = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))
    folder = write(tmp_path / "vision", vision, tokenizer(), transformers.CLIPImageProcessor())
    with pytest.raises(EncoderError, match="is a CLIPVisionModel: an encoder needs an image and a text tower"):
        HuggingFace(str(folder)).load(CPU)


def test_a_folder_without_a_tokenizer_is_refused(clip: Path, tmp_path: Path):
    """transformers makes one of two tokens then, to which all words are the same."""
    folder = Path(shutil.copytree(clip, tmp_path / "untold"))
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert len(transformers.AutoTokenizer.from_pretrained(folder)) == 2
    with pytest.raises(EncoderError, match=r"to its tokenizer dog, .* are all the same.*tokenizer\.json"):
        HuggingFace(str(folder)).load(CPU)


def test_a_tokenizer_of_another_model_is_refused(clip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(clip, tmp_path / "other"))
    about = json.loads((folder / "tokenizer.json").read_text())
    about["model"]["vocab"] = {word: number + 300 * (number > 2) for word, number in about["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(about))
    with pytest.raises(EncoderError, match=r"its tokenizer gives token \d+, its text tower has 297 vectors"):
        HuggingFace(str(folder)).load(CPU)


def test_a_processor_that_makes_no_square_picture_is_refused(siglip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(siglip, tmp_path / "naflex"))
    transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=4).save_pretrained(folder)
    with pytest.raises(EncoderError, match=r"Siglip2ImageProcessor.* makes \(4, 192\) of a picture.*not `naflex`"):
        HuggingFace(str(folder)).load(CPU)


def test_a_pickled_checkpoint_is_not_read(clip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(clip, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"cannot be loaded.*safetensors"):
        HuggingFace(str(folder)).load(CPU)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", "cut"),
        ("config.json", "{"),
        ("config.json", json.dumps({"model_type": "clip", "vision_config": {"hidden_size": 8}})),
        ("tokenizer.json", "{}"),
        ("preprocessor_config.json", "[]"),
    ],
)
def test_a_damaged_model_folder_is_an_encoder_error(clip: Path, tmp_path: Path, file: str, content: str):
    folder = Path(shutil.copytree(clip, tmp_path / "damaged"))
    (folder / file).write_text(content)
    with pytest.raises(EncoderError, match="cannot be loaded"):
        HuggingFace(str(folder)).load(CPU)


def test_a_package_that_a_tokenizer_needs_is_named(siglip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = Path(shutil.copytree(siglip, tmp_path / "sentencepiece"))

    def lacking(*args: object, **options: object) -> None:
        raise ImportError("\nSiglipTokenizer requires the SentencePiece library.\nAnd more.")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lacking)
    with pytest.raises(EncoderError, match=r"the SentencePiece library\. pip install 'ood-lightning\[transformers\]'"):
        HuggingFace(str(folder)).load(CPU)


def test_code_of_a_models_own_is_not_run(clip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(clip, tmp_path / "remote"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(EncoderError, match="models that bring code of their own are not run"):
        HuggingFace(str(folder)).load(CPU)
    assert not (tmp_path / "ran").exists()


def test_embed_stores_what_the_encoder_gives(clip: Path, sets: Path, capsys: pytest.CaptureFixture[str]):
    from ood_lightning.data.artifacts.features import FeatureFolder
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.data.shards.samples import read_samples

    given = {"encoder": {"class_path": CLASS, "init_args": {"model": str(clip)}}, "shards": [str(sets / "blues")]}
    Path("embed.yaml").write_text(yaml.safe_dump({**given, "cache_dir": "cache", "num_workers": 1}))
    assert main(["embed", "--config", "embed.yaml"]) == 0
    assert "blues: 9 pictures, complete: cache" in capsys.readouterr().out
    encoder, manifest = HuggingFace(str(clip)), read_manifest(str(sets / "blues"))
    found = FeatureFolder("cache", manifest, encoder.fingerprint).read()
    samples = [sample for shard in manifest.shards for sample in read_samples(manifest.path(shard))]
    expected = [encoder.encode_image(encoder.transform(decode(sample.data))[None]) for sample in samples]
    assert found.keys == [sample.key for sample in samples]
    torch.testing.assert_close(found.image.float(), torch.cat(expected), atol=3e-4, rtol=0)


@pytest.mark.slow
def test_a_whole_evaluation(siglip: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["encoder"] = {"class_path": CLASS, "init_args": {"model": str(siglip)}}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert "NegLabel" in capsys.readouterr().out
    assert Path("run/eval/results.csv").is_file()


def further(family: str) -> tuple[Any, Any, Any]:
    """A model of another family, its tokenizer and its image processor."""
    t, tok = transformers, tokenizer()
    text, bert = text_config(tok), text_config(tok, type_vocab_size=2)
    square = {"size": {"height": 16, "width": 16}, "crop_size": {"height": 16, "width": 16}}
    crop = t.CLIPImageProcessor(**square)
    if family == "altclip":  # the places of XLM-R begin behind the padding's
        roberta = {**text, "max_position_embeddings": CONTEXT + tok.pad_token_id + 1, "project_dim": 24}
        return t.AltCLIPModel(t.AltCLIPConfig(text_config=roberta, vision_config=VISION)), tokenizer(10**30), crop
    if family == "chinese_clip":
        return t.ChineseCLIPModel(t.ChineseCLIPConfig(text_config=bert, vision_config=VISION)), tok, crop
    if family == "metaclip_2":
        return t.MetaClip2Model(t.MetaClip2Config(text_config=text, vision_config=VISION)), tok, crop
    if family == "align":
        vision = {"image_size": 64, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 32}
        square = {key: {"height": 64, "width": 64} for key in square}
        config = t.AlignConfig(text_config=bert, vision_config=vision, projection_dim=32)
        return t.AlignModel(config), tok, t.EfficientNetImageProcessor(**square, include_top=True)
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


@pytest.mark.parametrize(
    "family", ["aimv2", "align", "altclip", "chinese_clip", "clipseg", "groupvit", "metaclip_2", "bert and vit"]
)
def test_further_families_give_what_their_models_give_of_one_text_and_one_picture(family: str, tmp_path: Path):
    model, tok, processor = further(family)
    folder = write(tmp_path / "model", model, tok, processor)
    encoder = HuggingFace(str(folder), text_batch=3)
    # under SDPA, aimv2 masks what follows a token beside padding alone, so one text at a time would be another feature
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    own = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    texts, images = [], []
    with torch.inference_mode():
        for text in TEXTS:
            given = tok(text, truncation=True, max_length=CONTEXT, return_tensors="pt")
            given = {key: given[key] for key in ("input_ids", "attention_mask")}
            texts.append(model.get_text_features(**given).pooler_output)
        pictures = [picture(seed, (30, 20 + seed)) for seed in range(3)]
        images = [model.get_image_features(**own(one, return_tensors="pt")).pooler_output for one in pictures]
    expected = torch.cat(texts)
    assert expected.std(dim=0).min() > 1e-3
    torch.testing.assert_close(encoder.encode_text(TEXTS), expected, atol=1e-5, rtol=1e-4)
    found = encoder.encode_image(torch.stack([encoder.transform(one) for one in pictures]))
    torch.testing.assert_close(found, torch.nn.functional.normalize(torch.cat(images)), atol=1e-5, rtol=1e-4)
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
    processor = t.CLIPImageProcessor(size={"height": 16, "width": 16}, crop_size={"height": 16, "width": 16})
    encoder = HuggingFace(str(write(tmp_path / "flava", t.FlavaModel(config), tok, processor)))
    with pytest.raises(EncoderError, match=r"FlavaModel gives features of shape \(1, 5, 24\), expected one vector"):
        encoder.encode_image(encoder.transform(picture(0))[None])
