"""transformers' door: image features, pixels, scale, precision and fingerprint, and whole commands with them."""

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
from hub_cache import COMMIT, cached
from PIL import Image
from shard_files import encoded

from ood_lightning.cli.main import main
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.pixels import split
from ood_lightning.encoders.huggingface import HuggingFace

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tiny_transformers import CONTEXT, TEXTS, random_image, tokenizer  # noqa: E402

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_network")
CLASS = "ood_lightning.encoders.huggingface.HuggingFace"


transformers = pytest.importorskip("transformers")


def as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_images_are_those_of_one_at_a_time(model_folder: Path):
    encoder = HuggingFace(str(model_folder))
    images = [random_image(seed, (20 + 9 * seed, 24)) for seed in range(4)]
    model = transformers.AutoModel.from_pretrained(model_folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(model_folder, backend="pil")
    with torch.inference_mode():
        rows = [model.get_image_features(**processor(image, return_tensors="pt")).pooler_output for image in images]
    expected = torch.nn.functional.normalize(torch.cat(rows))

    features = encoder.encode_image(torch.stack([encoder.transform(image) for image in images]))

    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    assert (features @ features.T).min() < 0.999


def test_what_is_compared_are_the_logits_of_the_model_itself(model_folder: Path):
    """Features and scale together, against the whole model's forward; SigLIP's bias is no part of a cosine."""
    encoder = HuggingFace(str(model_folder))
    model = transformers.AutoModel.from_pretrained(model_folder).eval()
    image = torch.stack([encoder.transform(random_image(seed)) for seed in range(3)])
    ids = tokenizer()(["a dog", "a cat"], padding="max_length", max_length=CONTEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = model(input_ids=ids, pixel_values=image).logits_per_image

    texts = torch.nn.functional.normalize(encoder.encode_text(["a dog", "a cat"]))
    bias = torch.as_tensor(getattr(model, "logit_bias", 0.0)).item()
    logits = encoder.logit_scale * encoder.encode_image(image) @ texts.T + bias
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-5)


def test_the_transform_is_the_processors_own_and_goes_to_workers_as_bytes(model_folder: Path):
    encoder = HuggingFace(str(model_folder))
    processor = transformers.AutoImageProcessor.from_pretrained(model_folder, backend="pil")
    transform = pickle.loads(pickle.dumps(encoder.transform))
    first, rest = split(transform)

    for image in (random_image(0), random_image(1, (16, 16)), random_image(2, (19, 90)), random_image(3, (301, 200))):
        expected = processor(image, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(transform(image), expected, atol=1e-6, rtol=0)

        handed = first(as_png(image))
        assert handed.dtype == torch.uint8
        torch.testing.assert_close(rest(handed[None])[0], expected, atol=1e-6, rtol=0)

    assert encoder.image_shape == (3, 16, 16)


def test_a_processor_that_scales_another_way_is_left_whole(clip: Path, tmp_path: Path):
    folder = Path(shutil.copytree(clip, tmp_path / "scaled"))
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**config, "rescale_factor": 1 / 127.5}))
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    transform = HuggingFace(str(folder)).transform

    expected = processor(random_image(0), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(transform(random_image(0)), expected)
    first, rest = split(transform)
    assert torch.equal(
        rest(first(as_png(random_image(0)))[None])[0], transform(random_image(0))
    )  # nothing is left for later
    assert first(as_png(random_image(0))).dtype == torch.float32


def test_the_scale_is_the_multiplier_itself_in_every_precision(clip: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(clip, tmp_path / "hundred"))
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "logit_scale": torch.tensor(math.log(100.0))}, folder / "model.safetensors", {"format": "pt"})
    for precision in ("fp32", "bf16", "fp16"):
        assert HuggingFace(str(folder), precision=precision).logit_scale == pytest.approx(100, rel=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32_features_near_those_of_full(model_folder: Path, precision: Any):
    full, half = HuggingFace(str(model_folder)), HuggingFace(str(model_folder), precision=precision)
    images = torch.stack([full.transform(decode(encoded((200, 10, 10), i))) for i in range(3)])
    pairs = [(half.encode_image(images), full.encode_image(images)), (half.encode_text(TEXTS), full.encode_text(TEXTS))]
    for rounded, exact in pairs:
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, exact)
        assert torch.cosine_similarity(rounded, exact).min() > 0.99

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

    fingerprint = HuggingFace(str(clip)).fingerprint
    same = Path(shutil.copytree(clip, tmp_path / "same"))
    (same / "README.md").write_text("a model card")
    assert HuggingFace(str(same), text_batch=3, cache_dir="x").fingerprint == fingerprint

    others = [
        *(changed(name, name) for name in ("model.safetensors", "preprocessor_config.json", "tokenizer.json")),
        HuggingFace(str(clip), precision="bf16"),
        HuggingFace(str(clip), feature_dtype="float32"),
    ]
    assert len({fingerprint, *(encoder.fingerprint for encoder in others)}) == 6


def test_a_model_of_the_hub_is_known_by_its_commit(clip: Path, tmp_path: Path):
    cached(clip, tmp_path, "org/tiny")
    main_, pinned, other = (
        HuggingFace("org/tiny", revision, cache_dir=str(tmp_path)) for revision in (None, COMMIT, COMMIT[::-1])
    )
    assert main_.fingerprint == pinned.fingerprint != other.fingerprint
    assert pinned.name == f"org/tiny@{COMMIT}"
    torch.testing.assert_close(main_.encode_text(TEXTS), HuggingFace(str(clip)).encode_text(TEXTS))


def test_a_commit_names_the_features_without_the_hub(tmp_path: Path):
    assert len(HuggingFace("org/none", COMMIT, cache_dir=str(tmp_path)).fingerprint) == 16


def test_embed_stores_what_the_encoder_gives(clip: Path, sets: Path, capsys: pytest.CaptureFixture[str]):
    from ood_lightning.data.artifacts.features import FeatureFolder
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.data.shards.samples import read_samples

    encoder = {"class_path": CLASS, "init_args": {"model": str(clip)}}
    settings = {"encoder": encoder, "shards": [str(sets / "blues")], "cache_dir": "cache", "num_workers": 1}
    Path("embed.yaml").write_text(yaml.safe_dump(settings))
    assert main(["embed", "--config", "embed.yaml"]) == 0
    assert "blues: 9 pictures, complete: cache" in capsys.readouterr().out

    huggingface = HuggingFace(str(clip))
    manifest = read_manifest(str(sets / "blues"))
    stored = FeatureFolder("cache", manifest, huggingface.fingerprint).read()
    samples = [sample for shard in manifest.shards for sample in read_samples(manifest.path(shard))]
    expected = [huggingface.encode_image(huggingface.transform(decode(sample.data))[None]) for sample in samples]
    assert stored.keys == [sample.key for sample in samples]
    torch.testing.assert_close(stored.image.to("cpu").float(), torch.cat(expected), atol=3e-4, rtol=0)


@pytest.mark.slow
def test_a_whole_evaluation(siglip: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["encoder"] = {"class_path": CLASS, "init_args": {"model": str(siglip)}}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert "NegLabel" in capsys.readouterr().out
    assert Path("run/eval/results.csv").is_file()
