"""PLP's score against its formula, and probes that do not fit the run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from bare_evidence import evidence_of, ready
from random_features import random_unit
from safetensors.torch import save_file
from torch import Tensor

from ood_lightning.data.artifacts.store import write_store
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.detectors.plp import PLP, names_sha256
from ood_lightning.errors import SettingsError


@pytest.fixture
def trained(tmp_path: Path) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {"weight": (3, 6), "bias": (3,), "mean": (6,), "std": (6,)}
    tensors = {name: torch.rand(shape, generator=draw) + 0.5 for name, shape in shapes.items()}
    save_probe(tensors, str(tmp_path / "probe.safetensors"))
    return tensors


def save_probe(tensors: dict[str, Tensor], path: str, names: Sequence[str] = ("0", "1", "2"), **other: str) -> None:
    made = {"encoder": "tiny", "features": "image", "names": names_sha256(names), **other}
    write_store(Path(path), tensors, made)


def _evidence(names: int = 3) -> Evidence:
    positives = random_unit(names, 6, seed=1)
    labels = LabelFeatures(positives, positives[:0], 10.0)
    return evidence_of({"names": ready(labels, ([str(i) for i in range(names)], ()))}, encoder="tiny")


def test_equals_a_loop_one_can_check_by_hand(trained: dict[str, Tensor]):
    images = random_unit(5, 6, seed=2)
    expected = []
    for x in images.double():
        z = (x - trained["mean"].double()) / trained["std"].double()
        logits = [float(w @ z + b) for w, b in zip(trained["weight"].double(), trained["bias"].double(), strict=True)]
        expected.append(max(logits) - math.log(sum(math.exp(value) for value in logits)))

    scores = PLP(probe="probe.safetensors").bind(_evidence())(images)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_probe_of_other_names_is_refused(trained: dict[str, Tensor]):
    with pytest.raises(SettingsError, match=r"trained with other names than this run's \(4 names of label set 'names'"):
        PLP(probe="probe.safetensors").bind(_evidence(names=4))


def test_a_probe_of_the_same_number_of_other_names_is_refused(trained: dict[str, Tensor]):
    save_probe(trained, "other.safetensors", names=["0", "1", "cow"])
    with pytest.raises(SettingsError, match="trained with other names than"):
        PLP(probe="other.safetensors").bind(_evidence())


def test_a_probe_of_another_encoder_is_refused(trained: dict[str, Tensor]):
    save_probe(trained, "other.safetensors", encoder="large")
    with pytest.raises(SettingsError, match="trained with other encoder than"):
        PLP(probe="other.safetensors").bind(_evidence())


def test_a_missing_probe_says_how_to_get_one():
    assert PLP().missing().startswith("a probe (fit --config configs/plp.yaml): there is no file runs/plp/probe")


def test_what_is_no_probe_is_refused(trained: dict[str, Tensor], tmp_path: Path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    save_file(trained, tmp_path / "unnamed.safetensors")
    not_finite = {**trained, "bias": trained["bias"].clone().fill_(torch.nan)}
    save_probe(not_finite, "not_finite.safetensors")
    save_probe({**trained, "std": torch.zeros(6)}, "still.safetensors")
    save_probe({**trained, "mean": torch.zeros(7)}, "wide.safetensors")

    reasons = {
        "broken": "is missing or damaged",
        "unnamed": "it has no checksums",
        "not_finite": "a weight that is not finite",
        "still": "a deviation of 0",
        "wide": r"mean is float32 \[7\], expected float32 \[6\]",
    }
    for name, reason in reasons.items():
        with pytest.raises(SettingsError, match=rf"{name}\.safetensors .*{reason}.*: train one with `fit"):
            PLP(probe=f"{name}.safetensors").bind(_evidence())


def test_a_probe_of_tower_features_has_a_width_of_its_own(trained: dict[str, Tensor]):
    wide = {**trained, "weight": torch.rand(3, 9), "mean": torch.zeros(9), "std": torch.ones(9)}
    save_probe(wide, "wide.safetensors", features="tower")
    probe = PLP(probe="wide.safetensors", features="tower")
    assert (probe.columns, PLP().columns) == (("tower",), ("image",))
    assert probe.bind(_evidence())(torch.rand(5, 9)).shape == (5,)


@pytest.mark.parametrize(("trained_on", "reads"), [("tower", "image"), ("image", "tower")])
def test_a_probe_of_other_features_is_refused(trained: dict[str, Tensor], trained_on: str, reads: Any):
    save_probe(trained, "other.safetensors", features=trained_on)
    with pytest.raises(SettingsError, match=f"trained with other features than .* {reads} features"):
        PLP(probe="other.safetensors", features=reads).bind(_evidence())
