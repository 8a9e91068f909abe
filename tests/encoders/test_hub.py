"""Models of the hub in open_clip's form are known by their commit, and that commit is what is loaded."""

import shutil
from pathlib import Path

import pytest
import torch
from hub_cache import COMMIT, cached
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import load_file, save_file

from ood_lightning.encoders.hub import fetched
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError
from ood_lightning.retries import UnreachableError

CACHE = Path("hub")
FIRST, SECOND = "1" * 40, "2" * 40
TEXTS = ["dog", "a photo of a cat."]


pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def other_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The same model with other weights."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    weights = load_file(folder / "open_clip_model.safetensors")
    save_file({**weights, "text_projection": -weights["text_projection"]}, folder / "open_clip_model.safetensors")
    return folder


def test_a_repository_that_moved_has_features_of_its_own(tiny_model: Path, other_model: Path):
    cached(tiny_model, CACHE, "org/tiny", FIRST)
    before = OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE))
    fingerprint = before.fingerprint
    cached(other_model, CACHE, "org/tiny", SECOND)  # while this process runs
    after = OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE))
    assert after.fingerprint != fingerprint

    for encoder, folder in ((before, tiny_model), (after, other_model)):
        expected = OpenClip(f"local-dir:{folder}").encode_text(TEXTS)
        torch.testing.assert_close(encoder.encode_text(TEXTS), expected)
    assert before.fingerprint == fingerprint


@pytest.mark.parametrize("revision", [FIRST, "v1"])
def test_a_revision_is_kept(tiny_model: Path, other_model: Path, revision: str):
    cached(tiny_model, CACHE, "org/tiny", FIRST)
    (CACHE / "models--org--tiny" / "refs" / "v1").write_text(FIRST)
    main = OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE)).fingerprint
    cached(other_model, CACHE, "org/tiny", SECOND)
    pinned = OpenClip(f"hf-hub:org/tiny@{revision}", cache_dir=str(CACHE))
    assert pinned.fingerprint == main
    torch.testing.assert_close(pinned.encode_text(TEXTS), OpenClip(f"local-dir:{tiny_model}").encode_text(TEXTS))


def test_pickled_weights_alone_will_do(tiny_model: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_model, tmp_path / "pickled"))
    torch.save(load_file(folder / "open_clip_model.safetensors"), folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_model.safetensors").unlink()
    cached(folder, CACHE, "org/tiny")
    features = OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE)).encode_text(TEXTS)
    torch.testing.assert_close(features, OpenClip(f"local-dir:{tiny_model}").encode_text(TEXTS))


def test_the_first_file_that_the_repository_has_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    requests: list[str] = []

    def download(repository: str, file: str, **options: object) -> str:
        requests.append(file)
        if file == "a.bin":
            raise EntryNotFoundError("there is no a.bin")
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("ood_lightning.encoders.hub._check_hub", lambda *_: None)
    assert fetched("org/tiny", ["a.bin", "b.bin", "c.bin"], None, str(tmp_path)) == tmp_path
    assert requests == ["a.bin", "b.bin"]


def test_a_file_that_is_not_in_the_cache_is_named_without_a_network(tiny_model: Path, tmp_path: Path):
    with pytest.raises(EncoderError, match=r"open_clip_config\.json of the hub's repository 'org/none' is not in its"):
        _ = OpenClip("hf-hub:org/none", cache_dir=str(tmp_path)).fingerprint
    folder = Path(shutil.copytree(tiny_model, tmp_path / "bare"))
    (folder / "open_clip_model.safetensors").unlink()

    cached(folder, CACHE, "org/tiny")
    encoder = OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE))
    words = f"open_clip_model.safetensors or open_clip_pytorch_model.bin of the hub's repository 'org/tiny@{COMMIT}'"
    with pytest.raises(EncoderError, match=f"^{words} is not in its cache"):
        encoder.load(torch.device("cpu"))


@pytest.mark.parametrize("model", ["hf-hub:", "hf-hub:a/b/c", "hf-hub:a b"])
def test_what_is_no_repository_is_refused(model: str):
    with pytest.raises(EncoderError, match="cannot be fetched: Repo"):
        _ = OpenClip(model).fingerprint


def test_a_hub_that_nobody_reaches_is_told_once_and_its_client_is_not_asked(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(url: str) -> None:
        reached.append(url)
        raise UnreachableError("the-hub cannot be reached: no route to host")

    def ask(*_: object, **__: object) -> None:
        raise AssertionError("the client would try again and again")

    reached: list[str] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", ask)
    monkeypatch.setattr("ood_lightning.encoders.hub.check_reachable", refuse)

    away = r"org/none' is not in its cache and cannot be fetched: the-hub cannot be reached: no route"
    with pytest.raises(EncoderError, match=away):
        OpenClip("hf-hub:org/none", cache_dir=str(CACHE)).check()
    with pytest.raises(EncoderError, match="cannot be fetched: the-hub cannot be reached"):
        OpenClip("ViT-B-16", "laion2b_s34b_b88k", cache_dir=str(CACHE)).check()
    with pytest.raises(EncoderError, match="cannot be fetched: the-hub cannot be reached"):
        OpenClip("ViT-B-16", "laion2b_s34b_b88k", cache_dir=str(CACHE)).encode_text(["cat"])
    assert len(reached) == 3

    cached(tiny_model, CACHE, "org/tiny")
    assert "weights in the hub's cache" in OpenClip("hf-hub:org/tiny", cache_dir=str(CACHE)).check()
    assert "weights on this machine" in OpenClip(f"local-dir:{tiny_model}").check()
    assert len(reached) == 3


def test_widths_of_features_by_the_config(tiny_model: Path):
    tiny = {"image": 16, "tower": 32, "patches": 4 * 16, "length": 1}
    assert OpenClip(f"local-dir:{tiny_model}").widths() == tiny
    assert OpenClip("ViT-B-16-quickgelu", "openai").widths() == {
        "image": 512,
        "tower": 768,
        "patches": 196 * 512,
        "length": 1,
    }
