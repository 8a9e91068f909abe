"""Weights from files and folders: all are read and known by their bytes; nothing in them is run, or stretched."""

import argparse
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from safetensors.torch import load_file, save_file
from tiny_model import TINY
from torch import Tensor

from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError

CPU = torch.device("cpu")
NAME = "Tiny-8"
TEXTS = ["dog", "a photo of a cat."]


@pytest.fixture(autouse=True)
def _known_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip knows the tiny model by a name."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, NAME, TINY)


@pytest.fixture
def weights(tiny_model: Path) -> dict[str, Tensor]:
    return dict(load_file(tiny_model / "open_clip_model.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["w.pt", "w.pth", "w.ckpt", "w.bin", "./epoch_3", "~/w.pt", "w.safetensors"])
def test_a_file_of_any_ending_gives_the_models_features(
    file: str, weights: dict[str, Tensor], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = Path(file).expanduser()
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    expected = OpenClip(f"local-dir:{tiny_model}").encode_text(TEXTS)
    torch.testing.assert_close(OpenClip(NAME, file).encode_text(TEXTS), expected)


def test_a_checkpoint_of_open_clips_own_training_is_read(weights: dict[str, Tensor], tiny_model: Path):
    """Its optimiser's rate is one of NumPy's numbers, which torch alone takes for code."""
    optimizer = {"param_groups": [{"lr": np.float64(0.1) * np.cos(0.3)}]}
    of_ranks = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": of_ranks, "optimizer": optimizer}, "epoch_3.pt")
    with pytest.raises(Exception, match="Unsupported global: GLOBAL numpy"):
        torch.load("epoch_3.pt", weights_only=True)
    expected = OpenClip(f"local-dir:{tiny_model}").encode_text(TEXTS)
    torch.testing.assert_close(OpenClip(NAME, "epoch_3.pt").encode_text(TEXTS), expected)


def test_a_scale_that_is_a_list_of_one_number_is_that_number(weights: dict[str, Tensor], tiny_model: Path):
    torch.save({**weights, "logit_scale": weights["logit_scale"].reshape(1)}, "w.pt")
    encoder = OpenClip(NAME, "w.pt")
    assert encoder.logit_scale == OpenClip(f"local-dir:{tiny_model}").logit_scale


class Bomb:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


def another_architecture() -> dict[str, Tensor]:
    text = {**TINY["text_cfg"], "width": 32}  # type: ignore[dict-item]
    return dict(CLIP(**{**TINY, "text_cfg": text}).state_dict())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda w: {"state_dict": Bomb()}, r"holds more than numbers \(.*could run code.*refused"),
        (
            lambda w: {"state_dict": w, "args": argparse.Namespace()},
            r"\(argparse\.Namespace\).*its tensors alone",
        ),
        (lambda w: another_architecture(), r"pos_embed width changed\. Is it whole, and a checkpoint of Tiny-8\?$"),
        (lambda w: {"model": w}, r'Missing key.*"positional_embedding".*Unexpected key.* "model"\. Is it whole'),
        (lambda w: [1, 2], r"it is not what torch\.save or safetensors wrote \(AttributeError\)"),
        (lambda w: {}, r"not what torch\.save or safetensors wrote \(StopIteration\)"),
    ],
    ids=["bomb", "settings", "other widths", "wrapped", "list", "empty"],
)
def test_what_is_no_checkpoint_of_the_model_is_refused_in_words(
    content: Callable[[dict[str, Tensor]], Any], words: str, weights: dict[str, Tensor]
):
    torch.save(content(weights), "w.pt")
    with pytest.raises(EncoderError, match=f"'{NAME}/w.pt' cannot be loaded: .*{words}") as refused:
        OpenClip(NAME, "w.pt").load(CPU)
    assert len(str(refused.value)) < 600
    assert not Path("executed").exists()


@pytest.mark.parametrize("raw", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", b"<html>" * 50])
def test_a_file_that_a_download_left_is_refused_in_words(raw: bytes):
    Path("w.pt").write_bytes(raw)
    with pytest.raises(EncoderError, match=r"it is not what torch\.save or safetensors wrote"):
        OpenClip(NAME, "w.pt").load(CPU)


@pytest.mark.filterwarnings("ignore:.*TorchScript archive", "ignore:`torch.jit:FutureWarning")
def test_openais_own_archive_is_refused_with_the_name_of_its_tensors():
    torch.jit.script(torch.nn.Linear(1, 1)).save("ViT-B-16.pt")
    with pytest.raises(EncoderError, match=r"TorchScript archive.*model: ViT-B-16-quickgelu, pretrained: openai"):
        OpenClip(NAME, "ViT-B-16.pt").load(CPU)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("vision_cfg", {"image_size": 24}, r"visual\.positional_embedding \[10, 32\], expected \[5, 32\]"),
        ("text_cfg", {"context_length": 20}, r"positional_embedding \[20, 16\], expected \[16, 16\]"),
    ],
)
def test_a_checkpoint_of_another_picture_size_is_not_stretched(
    ending: str, part: str, change: dict[str, int], words: str
):
    torch.manual_seed(0)
    other = {k: v.contiguous() for k, v in CLIP(**{**TINY, part: {**TINY[part], **change}}).state_dict().items()}  # type: ignore[dict-item]
    save_file(other, "w.safetensors") if ending == "safetensors" else torch.save({"state_dict": other}, "w.pt")
    assert open_clip.create_model(NAME, f"w.{ending}") is not None  # open_clip itself goes on
    with pytest.raises(EncoderError, match=f"another picture size or context than {NAME} has: {words}"):
        OpenClip(NAME, f"w.{ending}").load(CPU)


@pytest.mark.parametrize("file", ["model.safetensors", "epoch_3.pth", "pytorch_model.bin"])
def test_a_folder_is_known_by_its_weights_whatever_they_are_called(
    file: str, weights: dict[str, Tensor], tiny_model: Path, tmp_path: Path
):
    def made(name: str, held: dict[str, Tensor]) -> OpenClip:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(tiny_model / "open_clip_config.json", folder)
        save_file(held, folder / file) if file.endswith("safetensors") else torch.save(held, folder / file)
        return OpenClip(f"local-dir:{folder}")

    one, same = made("one", weights), made("same", weights)
    other = made("other", {**weights, "text_projection": -weights["text_projection"]})
    assert (one.encode_text(TEXTS) - other.encode_text(TEXTS)).abs().max() > 0.01
    assert one.fingerprint == same.fingerprint != other.fingerprint


def with_config(tiny_model: Path, folder: Path, text: dict[str, Any], towers: Any = CustomTextCLIP) -> Path:
    """A folder of random weights under another text tower."""
    config = copy.deepcopy(json.loads((tiny_model / "open_clip_config.json").read_text()))
    config["model_cfg"]["text_cfg"] |= text
    made = {key: value for key, value in config["model_cfg"]["text_cfg"].items() if "tokenizer" not in key}
    model = towers(**{**config["model_cfg"], "text_cfg": made})
    config["model_cfg"]["custom_text"] = towers is CustomTextCLIP

    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


SIGLIP = {"no_causal_mask": True, "pool_type": "last", "proj_bias": True}


def test_a_siglip_that_names_no_tokenizer_does_not_get_clips(tiny_model: Path, tmp_path: Path):
    folder = with_config(tiny_model, tmp_path / "siglip", {**SIGLIP, "vocab_size": 50_000})
    assert isinstance(open_clip.get_tokenizer(f"local-dir:{folder}"), open_clip.SimpleTokenizer)  # open_clip's way
    with pytest.raises(EncoderError, match=r"names no tokenizer \(hf_tokenizer_name.*such as timm/ViT-B-16-SigLIP"):
        OpenClip(f"local-dir:{folder}").load(CPU)


def test_a_tower_with_too_few_vectors_for_its_tokenizer_is_refused(tiny_model: Path, tmp_path: Path):
    folder = with_config(tiny_model, tmp_path / "few", {"vocab_size": 900}, CLIP)
    with pytest.raises(EncoderError, match="its tokenizer gives token 49407, its text tower has 900 vectors"):
        OpenClip(f"local-dir:{folder}").load(CPU)


def test_a_folders_tokenizer_is_part_of_it_and_brings_no_code(tiny_model: Path, tmp_path: Path):
    pytest.importorskip("transformers")
    from tiny_transformers import tokenizer

    of_folder = {"hf_tokenizer_name": "org/siglip", "tokenizer_kwargs": {"clean": "canonicalize"}}
    folder = with_config(tiny_model, tmp_path / "siglip", {**SIGLIP, **of_folder, "vocab_size": 297})
    with pytest.raises(EncoderError, match=r"its tokenizer cannot be loaded from the folder.*Expected tokenizer\.json"):
        OpenClip(f"local-dir:{folder}").load(CPU)

    tokenizer().save_pretrained(folder)
    encoder = OpenClip(f"local-dir:{folder}")
    assert encoder.encode_text(TEXTS).shape == (2, 16)

    before = encoder.fingerprint
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert OpenClip(f"local-dir:{folder}").fingerprint != before

    (folder / "own.py").write_text("open('executed', 'w')")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["trust_remote_code"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(config))

    with pytest.raises(EncoderError, match="bring code of their own are not run"):
        OpenClip(f"local-dir:{folder}").load(CPU)
    assert not Path("executed").exists()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_scale_of_timms_towers_is_that_of_the_checkpoint(tiny_model: Path, tmp_path: Path, precision: Any):
    """open_clip makes such models in 16 bits before it reads their weights, the scale's logarithm among them."""
    folder = tmp_path / "timm"
    folder.mkdir()
    tower = {"timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": "linear", "image_size": 32}
    config = json.loads((tiny_model / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"] = tower
    model = CLIP(**config["model_cfg"])
    model.logit_scale.data.fill_(np.log(100))
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")

    encoder = OpenClip(f"local-dir:{folder}", precision=precision)
    assert encoder._towers[0].logit_scale.dtype.itemsize == 2
    assert encoder.logit_scale == pytest.approx(100, rel=1e-5)
