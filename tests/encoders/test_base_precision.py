"""`precision: auto` is bf16 on a GPU that computes in it, else fp32, and nothing else follows from it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ood_lightning.data.artifacts.precision import FromFP32
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip


def on_gpu(monkeypatch: pytest.MonkeyPatch, *, is_ampere: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_ampere or including_emulation)


@pytest.fixture
def model(tiny_model: Path) -> str:
    return f"local-dir:{tiny_model}"


def test_on_a_processor_it_is_fp32_with_the_fingerprint_of_fp32(model: str):
    auto = OpenClip(model)
    assert auto.precision == "auto"
    assert auto.tower_precision == "fp32"
    assert auto.fingerprint == OpenClip(model, precision="fp32").fingerprint
    assert auto.in_fp32() is auto


def test_on_a_gpu_it_is_bf16_with_the_fingerprint_of_bf16(model: str, monkeypatch: pytest.MonkeyPatch):
    on_gpu(monkeypatch)
    auto = OpenClip(model)
    assert auto.tower_precision == "bf16"
    assert auto.fingerprint == OpenClip(model, precision="bf16").fingerprint
    assert auto.in_fp32().tower_precision == "fp32"
    assert OpenClip(model, precision="fp32").tower_precision == "fp32"


def test_on_a_gpu_that_only_emulates_bf16_it_is_fp32(model: str, monkeypatch: pytest.MonkeyPatch):
    on_gpu(monkeypatch, is_ampere=False)
    assert OpenClip(model).tower_precision == "fp32"


def test_the_difference_is_stated_and_features_in_the_other_precision_are_named(
    model: str,
    tmp_path: Path,
    make_set: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    manifest = read_manifest(str(make_set(tmp_path, "some", shards=(4,))))
    settings: dict[str, Any] = {"device": torch.device("cpu"), "num_workers": 0}
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        on_gpu(patched)
        folder = embed(OpenClip(model), manifest, "cache", **settings)
        stated = FromFP32.read(folder.path)
    assert stated is not None
    assert stated.precision == "bf16"
    assert "other" not in caplog.text

    with caplog.at_level(logging.WARNING):
        here = embed(OpenClip(model), manifest, "cache", **settings)
    assert here.path != folder.path
    assert f"its features in bf16 lie in {folder.path}, and precision: bf16 takes them" in caplog.text
    caplog.clear()
    embed(OpenClip(model), manifest, "cache", **settings)  # nothing to do, nothing to say
    assert not caplog.text


@pytest.mark.long
def test_a_compiled_tower_gives_the_features_of_the_plain_one_up_to_rounding(model: str):
    plain, compiled = OpenClip(model), OpenClip(model, compile=True)
    assert plain.fingerprint != compiled.fingerprint
    for n in (3, 1, 2):  # the last batch of a shard is smaller
        images = torch.randn(n, 3, 16, 16)
        torch.testing.assert_close(compiled.encode_image(images), plain.encode_image(images), atol=1e-5, rtol=0)
    columns = compiled.encode_columns(images, ["patches", "tower", "length"])  # hooks, which it must not pass over
    for name, rows in plain.encode_columns(images, ["patches", "tower", "length"]).items():
        torch.testing.assert_close(columns[name], rows, atol=1e-5, rtol=0)
