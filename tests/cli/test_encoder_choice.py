"""The encoder of a name, or of the machine, and what its licence asks."""

from pathlib import Path

import pytest
import yaml

from ood_lightning.cli.encoder_choice import choose_encoder
from ood_lightning.data.cards.offered import offered
from ood_lightning.encoders.huggingface import HuggingFace
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError, SettingsError
from ood_lightning.places import shipped


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub whose cache is empty, and that is not asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_shipped_name_is_its_config():
    choice = choose_encoder("pictograms", "cpu", accept_license=False)
    assert isinstance(choice.encoder, OpenClip)
    assert choice.encoder.model == "builtin:pictograms/model"
    assert choice.reason == "pictograms (licence: Apache-2.0)"


def test_every_shipped_name_is_its_config(monkeypatch: pytest.MonkeyPatch):
    for kind in (OpenClip, HuggingFace):
        monkeypatch.setattr(kind, "check", lambda encoder: "")
    for one in offered():
        config = yaml.safe_load((shipped("configs") / "encoders" / f"{one.name}.yaml").read_text())
        encoder = choose_encoder(one.name, "cpu", accept_license=True).encoder
        assert {**vars(encoder), **config["init_args"]} == vars(encoder)


def test_a_folder_of_ones_own_needs_no_licence(tiny_model: Path):
    choice = choose_encoder(f"local-dir:{tiny_model}", "cpu", accept_license=False)
    assert isinstance(choice.encoder, OpenClip)
    assert "one's own folder" in choice.reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "vit_h14_dfn5b",
            r"is Apple Machine Learning Research \(apple-amlr\), for research\. Read it, then",
        ),
        ("ViT-B-16/some_tag", "its weights is not known here. Read it"),
        ("some/model", "its weights is not known here"),
    ],
)
def test_weights_that_are_not_free_wait_for_an_answer(name: str, words: str):
    with pytest.raises(SettingsError, match=words):
        choose_encoder(name, "cpu", accept_license=False)


def test_a_name_that_nobody_knows_comes_with_the_right_one():
    words = r"no encoder 'pictogram': did you mean 'pictograms'\? Shipped are pictograms, vit_h14.* and \d+ more"
    for accepted in (True, False):
        with pytest.raises(SettingsError, match=words):
            choose_encoder("pictogram", "cpu", accept_license=accepted)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", [None, "vit_b16_openai", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"])
def test_without_a_network_both_ways_out_are_said(name: str | None):
    with pytest.raises(EncoderError, match=r"local-dir:FOLDER.*for drawings only, .*--encoder pictograms") as error:
        choose_encoder(name, "cpu", accept_license=True)
    assert str(error.value).startswith(
        f"the weights of {name or 'vit_b16_laion2b'} are not on this machine and cannot "
    )
    assert str(error.value).count("folder of transformers") == 1
    assert "HF_HOME" not in str(error.value)


def test_what_no_network_would_mend_comes_without_ways_out():
    with pytest.raises(EncoderError, match="has no weights 'none'") as error:
        choose_encoder("ViT-B-16/none", "cpu", accept_license=True)
    assert "--encoder" not in str(error.value)


@pytest.mark.parametrize(("name", "kind"), [("ViT-B-16/laion2b_s34b_b88k", OpenClip), ("org/name", HuggingFace)])
def test_other_names_are_those_of_open_clip_and_transformers(name: str, kind: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kind, "check", lambda encoder: "")
    choice = choose_encoder(name, "cuda", accept_license=True)
    assert type(choice.encoder) is kind
    assert choice.encoder.name == name
    assert choice.reason == f"{name} (licence: accepted unseen)"
