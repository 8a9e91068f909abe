"""PLP's score against its formula, and probes that do not fit the run."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.detectors.base import Evidence, LabelFeatures
from ood_lightning.detectors.plp import PLP
from ood_lightning.errors import SettingsError


@pytest.fixture
def trained(tmp_path: Path) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {"weight": (3, 6), "bias": (3,), "mean": (6,), "std": (6,)}
    tensors = {name: torch.rand(shape, generator=draw) + 0.5 for name, shape in shapes.items()}
    save_file(tensors, tmp_path / "probe.safetensors")
    return tensors


def _evidence(names: int = 3) -> Evidence:
    positives = normalize(torch.randn(names, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    return Evidence({"names": LabelFeatures(positives, positives[:0], 10.0)})


def test_equals_a_loop_one_can_check_by_hand(trained: dict[str, Tensor]):
    pictures = normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(2)), dim=1)
    wanted = []
    for x in pictures.double():
        z = (x - trained["mean"].double()) / trained["std"].double()
        logits = [float(w @ z + b) for w, b in zip(trained["weight"].double(), trained["bias"].double(), strict=True)]
        wanted.append(max(logits) - math.log(sum(math.exp(value) for value in logits)))
    found = PLP(probe="probe.safetensors").bind(_evidence())(pictures)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_probe_of_other_names_is_refused(trained: dict[str, Tensor]):
    with pytest.raises(SettingsError, match=r"3 names apart in 6 dimensions.*has 4 in 6"):
        PLP(probe="probe.safetensors").bind(_evidence(names=4))


def test_a_missing_probe_says_how_to_get_one():
    with pytest.raises(SettingsError, match=r"fit --config configs/plp.yaml"):
        PLP().bind(_evidence())


def test_what_is_no_probe_is_refused(tmp_path: Path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(SettingsError, match="is no probe"):
        PLP(probe="broken.safetensors").bind(_evidence())


def test_a_probe_of_tower_features_has_a_width_of_its_own(trained: dict[str, Tensor]):
    wide = {**trained, "weight": torch.rand(3, 9), "mean": torch.zeros(9), "std": torch.ones(9)}
    save_file(wide, "wide.safetensors", {"features": "tower"})
    probe = PLP(probe="wide.safetensors", features="tower")
    assert (probe.columns, PLP().columns) == (("tower",), ("image",))
    assert probe.bind(_evidence())(torch.rand(5, 9)).shape == (5,)
    with pytest.raises(SettingsError, match=r"3 names apart in 9 dimensions.*has 4 in 9"):
        probe.bind(_evidence(names=4))


@pytest.mark.parametrize(("trained_on", "reads"), [("tower", "image"), ("image", "tower")])
def test_a_probe_of_other_features_is_refused(trained: dict[str, Tensor], trained_on: str, reads: Any):
    save_file(trained, "other.safetensors", {"features": trained_on})
    with pytest.raises(SettingsError, match=f"trained on {trained_on} features, the detector reads {reads}"):
        PLP(probe="other.safetensors", features=reads).bind(_evidence())
