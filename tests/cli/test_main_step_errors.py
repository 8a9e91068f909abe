"""What a person gets wrong with `mine`, `save-detector` and `predict` is one message, before any work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import detector_folder, write_label_set
from safetensors.torch import save_file
from shard_files import encoded

from ood_lightning.data.artifacts.votes import write_votes
from ood_lightning.data.shards.read_manifest import read_manifest

pytestmark = pytest.mark.slow  # whole commands

DETECTORS = "ood_lightning.detectors"
MCM, NEGLABEL, MASS = f"{DETECTORS}.mcm.MCM", f"{DETECTORS}.neglabel.NegLabel", f"{DETECTORS}.label_mass.LabelMass"


@pytest.fixture
def step_yaml(tmp_path: Path, encoder_yaml: dict[str, Any], words_yaml: dict[str, Any]) -> Path:
    """What `mine` and `save-detector` share."""
    path = tmp_path / "step.yaml"
    path.write_text(yaml.safe_dump({"encoder": encoder_yaml, "corpus": words_yaml, "cache_dir": "cache"}))
    return path


def test_what_is_wrong_with_votes(step_yaml: Path, sets: Path, tmp_path: Path, refused: Callable[..., None]):
    train = read_manifest(str(sets / "train"))
    other = replace(train, shards=train.shards[1:])
    for name, n, id_set in (("seven", 7, train), ("as_many", 48, other)):
        votes = {"cluster": torch.arange(n), "nearest": torch.arange(n), "cosine": torch.ones(n).double()}
        write_votes(tmp_path / f"{name}.safetensors", votes, id_set)
    save_file({"cluster": torch.zeros(48, dtype=torch.int64)}, tmp_path / "old.safetensors", {"id_set": "other"})
    (tmp_path / "cut.safetensors").write_bytes(b"cut")

    command = ["mine", "--config", str(step_yaml), "--id_shards", str(sets / "train"), "--out", "l.json"]
    command += ["--source", "ood_lightning.label_sets.clustermine.ClusterMine", "--votes"]
    refused([*command, "seven.safetensors"], "clusters for 7 pictures, set 'train' has 48")
    refused([*command, "as_many.safetensors"], "was made on another set than 'train'")
    for name in ("none", "old", "cut"):
        refused([*command, f"{name}.safetensors"], rf"{name}\.safetensors is missing or damaged .* run that fit again")
    posmine = ["--source", "ood_lightning.label_sets.posmine.PosMine", "--source.min_images", "49"]
    refused([*command[:-1], *posmine], r"no word is the nearest of 49 images")
    refused(command[:-1], r"no label set can be made: label set 'ClusterMine' needs clusters of the ID training images")
    assert not Path("l.json").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--label_set", "none.json"], r"there is no label set none\.json"),
        (
            ["--label_set", "names.json", "--score", MASS],
            r"detector 'LabelMass' needs negatives, its label set '\w*' has none",
        ),
        (["--score", f"{DETECTORS}.knn.KNN"], r"needs ID training images"),
        (["--score", NEGLABEL], r"2 negatives do not fill 100 groups"),
    ],
)
def test_what_is_wrong_with_a_detector(
    settings: list[str], words: str, step_yaml: Path, tmp_path: Path, refused: Callable[..., None]
):
    write_label_set(tmp_path / "l.json")
    write_label_set(tmp_path / "names.json", negatives=())

    command = [
        "save-detector",
        "--config",
        str(step_yaml),
        "--out",
        "detector",
        "--label_set",
        "l.json",
        "--score",
        MCM,
    ]
    refused([*command, *settings], words)
    assert not Path("detector").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["a.png", "--out", "x.xlsx"], r"out is 'x\.xlsx': expected a name ending in \.csv or \.jsonl or \.parquet"),
        (["a.png", "--batch_size", "0"], r"batch_size is 0: expected 1 or more"),
        (["a.png", "--concepts", "-1"], r"concepts is -1: expected 1 or more"),
        (["a.png", "--num_workers", "-1"], r"num_workers is -1: expected 0 or more"),
        (["nowhere"], r"there is no file or folder nowhere"),
        (["a.png", "empty"], r"empty holds no pictures"),
        (["a.png", "-"], r"- stands for paths from standard input: name nothing beside it"),
        (["a.png", "--detector", "empty"], r"empty holds no detector\.json: expected a detector folder"),
        (
            ["a.png", "--detector", "none"],
            r"there is no folder none: expected a detector folder",
        ),
    ],
)
def test_what_is_wrong_with_a_prediction(
    settings: list[str], words: str, step_yaml: Path, tmp_path: Path, refused: Callable[..., None]
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(encoded((9, 9, 9), 0))
    label_set = write_label_set(tmp_path / "l.json")
    folder = detector_folder(["--config", str(step_yaml), "--label_set", label_set, "--score", MCM])
    refused(["predict", *folder, *settings], words)
