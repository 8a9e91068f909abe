"""SynOOD's detector: NegLabel after an idle head, tuned rows in their places, and heads that do not fit the run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bare_evidence import evidence_of, ready
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.data.artifacts.store import write_store
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.detectors.synood import SynOOD, texts_sha256
from ood_lightning.errors import SettingsError

DIM, SCALE = 6, 14.3
WORDS = (("a", "b", "c"), tuple(f"n{i}" for i in range(9)))
PROVENANCE = {
    "encoder": "e" * 16,
    "prompts": "p" * 64,
    "labels": texts_sha256(*WORDS),
    "supervision": ["id_images", "synthetic_ood"],
}
DETECTOR = SynOOD(head="head.safetensors", groups=2)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def evidence() -> Evidence:
    positives, negatives = (normalize(draw(n, DIM, seed=n), dim=1) for n in (3, 9))
    return evidence_of({"neglabel": ready(LabelFeatures(positives, negatives, SCALE), WORDS)})


def idle(evidence: Evidence) -> dict[str, Tensor]:
    """A head that changes nothing."""
    used = torch.tensor([1, 4, 8])
    return {
        "weight": torch.zeros(DIM, DIM),
        "bias": draw(DIM, seed=1) * 0,
        "gain": torch.ones(DIM),
        "shift": -draw(DIM, seed=2).abs(),
        "used": used,
        "tuned": evidence.labels("neglabel").negatives[used].clone(),
    }


def write(tensors: dict[str, Tensor], made: dict[str, Any] = PROVENANCE) -> None:
    write_store(Path("head.safetensors"), tensors, made)


@pytest.fixture
def images() -> Tensor:
    return normalize(draw(7, DIM, seed=3), dim=1)


@pytest.mark.parametrize(("groups", "seed"), [(1, None), (2, 0), (4, 0), (4, 1)])
def test_an_idle_head_gives_neglabel(evidence: Evidence, images: Tensor, groups: int, seed: int | None):
    tensors = idle(evidence)
    tensors["tuned"] *= 9.0  # their length does not count
    write(tensors)
    options: dict[str, Any] = {"groups": groups, "permutation_seed": seed, "sharpness": 0.7}
    scores = SynOOD(head="head.safetensors", **options).bind(evidence)(images)
    expected = NegLabel(**options).bind(evidence)(images)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


def test_tuned_negatives_take_the_rows_of_the_used_ones_and_the_runs_do_not_change(evidence: Evidence, images: Tensor):
    tensors = idle(evidence)
    tensors["tuned"] = draw(3, DIM, seed=5)
    write(tensors)
    before = evidence.labels("neglabel").negatives.clone()
    scores = DETECTOR.bind(evidence)(images)
    assert torch.equal(evidence.labels("neglabel").negatives, before)

    negatives = before.clone()
    negatives[[1, 4, 8]] = normalize(tensors["tuned"], dim=1)
    labels = evidence.labels("neglabel")._replace(negatives=negatives)
    torch.testing.assert_close(scores, NegLabel(groups=2)(images, labels), rtol=0, atol=1e-5)


def test_the_adapter_moves_the_images_before_they_are_scored(evidence: Evidence, images: Tensor):
    tensors = idle(evidence) | {"weight": draw(DIM, DIM, seed=6), "shift": torch.zeros(DIM)}
    write(tensors)
    hidden = images @ tensors["weight"].T
    spread = hidden.var(dim=1, keepdim=True, correction=0)
    moved = images + ((hidden - hidden.mean(dim=1, keepdim=True)) / (spread + 1e-5).sqrt()).clamp_min(0)
    expected = NegLabel(groups=2).bind(evidence)(normalize(moved, dim=1))
    torch.testing.assert_close(DETECTOR.bind(evidence)(images), expected, rtol=0, atol=1e-4)


def test_at_the_projections_own_length_the_adapter_sees_longer_images(evidence: Evidence, images: Tensor):
    tensors = idle(evidence) | {"weight": draw(DIM, DIM, seed=6), "shift": torch.zeros(DIM)}
    write(tensors, PROVENANCE | {"own_length": True})
    detector = replace(DETECTOR, own_length=True)
    assert detector.columns == ("image", "length")

    length = torch.linspace(5, 15, len(images))[:, None]
    long = images * length
    hidden = long @ tensors["weight"].T
    spread = hidden.var(dim=1, keepdim=True, correction=0)
    moved = long + ((hidden - hidden.mean(dim=1, keepdim=True)) / (spread + 1e-5).sqrt()).clamp_min(0)
    expected = NegLabel(groups=2).bind(evidence)(normalize(moved, dim=1))
    torch.testing.assert_close(detector.bind(evidence)(images, length), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("own_length", [False, True])
def test_a_head_of_features_of_another_length_is_refused(evidence: Evidence, own_length: bool):
    write(idle(evidence), PROVENANCE | {"own_length": not own_length})
    with pytest.raises(SettingsError, match=f"own_length {not own_length}: say the same"):
        replace(DETECTOR, own_length=own_length).bind(evidence)


def test_it_says_what_its_head_was_trained_from(evidence: Evidence):
    write(idle(evidence))
    assert DETECTOR.supervision == {"id_images", "synthetic_ood"}
    write(idle(evidence), PROVENANCE | {"supervision": ["id_images", "id_labels", "synthetic_ood"]})
    assert DETECTOR.supervision == {"id_images", "id_labels", "synthetic_ood"}


def test_without_a_head_it_says_what_is_missing(evidence: Evidence):
    head = "a SynOOD head (fit --config configs/synood.yaml)"
    assert SynOOD().missing() == head
    assert DETECTOR.missing() == f"{head}: there is no file head.safetensors"
    write(idle(evidence))
    assert DETECTOR.missing() == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompts": "x" * 64}, "trained with prompts p+, the run has x+ "),
        ({"texts": (WORDS[0], WORDS[1][::-1])}, "trained with labels .* the same encoder, prompts and"),
        ({"texts": (WORDS[0][:2], WORDS[1])}, "trained with labels"),
    ],
    ids=["prompts", "order of negatives", "positives"],
)
def test_a_head_of_other_labels_is_refused(evidence: Evidence, change: dict[str, Any], words: str):
    write(idle(evidence))
    label_sets = {"neglabel": replace(evidence.label_sets["neglabel"], **change)}
    with pytest.raises(SettingsError, match=words):
        DETECTOR.bind(replace(evidence, label_sets=label_sets))


def test_a_head_of_another_encoder_is_refused(evidence: Evidence):
    write(idle(evidence))
    with pytest.raises(SettingsError, match=r"trained with encoder e+, the run has x+ "):
        DETECTOR.bind(replace(evidence, encoder="x" * 16))


def test_what_is_no_head_is_refused(evidence: Evidence):
    Path("head.safetensors").write_bytes(b"nothing")
    with pytest.raises(SettingsError, match=r"head\.safetensors is missing or damaged .*: train one with"):
        DETECTOR.bind(evidence)

    save_file({"weight": torch.ones(2)}, "head.safetensors")
    with pytest.raises(SettingsError, match="it has no checksums"):
        DETECTOR.bind(evidence)
    write(idle(evidence), {"encoder": "e"})
    with pytest.raises(SettingsError, match="is no SynOOD head, without labels"):
        DETECTOR.bind(evidence)
    write(idle(evidence) | {"gain": torch.full((DIM,), torch.nan)})
    with pytest.raises(SettingsError, match="a weight that is not finite"):
        DETECTOR.bind(evidence)

    write(idle(evidence) | {"bias": torch.zeros(DIM + 1)})
    with pytest.raises(SettingsError, match=r"no SynOOD head for 6 dimensions and 9 negatives: .*\(7,\)"):
        DETECTOR.bind(evidence)
    write(idle(evidence) | {"used": torch.tensor([1, 4, 9])})
    with pytest.raises(SettingsError, match="a row of `used` is none of the negatives"):
        DETECTOR.bind(evidence)
