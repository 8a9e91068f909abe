"""What transformers would load without an error, and what would give wrong features, is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hub_cache import COMMIT, cached

from ood_lightning.encoders.huggingface import HuggingFace
from ood_lightning.errors import EncoderError

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tiny_transformers import VISION, tokenizer, write  # noqa: E402

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_network")


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
    cached(clip, tmp_path, model)
    encoder = HuggingFace(model, cache_dir=str(tmp_path))
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
    config = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = config["model"]["vocab"]
    config["model"]["vocab"] = {word: number + 300 if number > 2 else number for word, number in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(config))
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
