"""PLP's training: what it learns, its learning rate, and that its detector scores with it."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import torch
import yaml
from safetensors.torch import load_file

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

DETECTOR = "ood_lightning.detectors.plp.PLP"


@pytest.fixture
def plp_yaml(fit_yaml: Path, eval_yaml: Path, sets: Path, tmp_path: Path) -> Path:
    settings: dict[str, Any] = yaml.safe_load(fit_yaml.read_text())
    scored = yaml.safe_load(eval_yaml.read_text())["model"]["init_args"]
    settings["trainer"] |= {"default_root_dir": "run/plp", "max_epochs": 20, "enable_checkpointing": False}
    settings["trainer"]["logger"]["init_args"]["save_dir"] = "run/plp"
    settings["trainer"]["callbacks"] = [{"class_path": "ood_lightning.callbacks.probe.ProbeWriter"}]
    given = {"corpus": scored["corpus"], "prompts": scored["prompts"], "label_set": scored["label_sets"]["names"]}
    probe = {**given, "cache_dir": "cache", "lr": 0.05}
    settings["model"] = {"class_path": "ood_lightning.modules.probe.ProbeModule", "init_args": probe}
    encoder = settings["data"]["init_args"]["encoder"]
    data = {
        "encoder": encoder,
        "id_shards": str(sets / "train"),
        "batch_size": 20,
        "cache_dir": "cache",
        "num_workers": 0,
    }
    settings["data"] = {"class_path": "ood_lightning.datamodules.targets.TargetFeatures", "init_args": data}
    path = tmp_path / "plp.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_the_probe_learns_the_pseudo_labels_and_its_detector_scores_with_it(
    plp_yaml: Path, eval_yaml: Path, tmp_path: Path
):
    assert main(["fit", "--config", str(plp_yaml)]) == 0
    with next(Path("run/plp/log").glob("*/metrics.csv")).open() as file:
        losses = [float(row["fit/probe_loss"]) for row in csv.DictReader(file) if row["fit/probe_loss"]]
    assert losses[0] == pytest.approx(math.log(2), abs=0.35)  # two names, nothing learned yet
    assert losses[-1] < 0.5 * losses[0]
    probe = load_file("run/plp/probe.safetensors")
    assert probe["weight"].shape == (2, 16)
    settings = yaml.safe_load(eval_yaml.read_text())
    plp = {"class_path": DETECTOR, "init_args": {"probe": "run/plp/probe.safetensors"}}
    settings["model"]["init_args"]["detectors"] = {"PLP": plp}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {row["supervision"] for row in rows} == {"id_images+id_names"}


def test_two_runs_of_one_seed_train_the_same_probe(plp_yaml: Path):
    trained = []
    for run in ("a", "b"):
        assert main(["fit", "--config", str(plp_yaml), "--trainer.default_root_dir", f"run/{run}"]) == 0
        trained.append(load_file(f"run/{run}/probe.safetensors"))
    for name, tensor in trained[0].items():
        assert torch.equal(tensor, trained[1][name]), name


def test_a_probe_of_the_tower_is_wider_and_its_detector_reads_the_tower(plp_yaml: Path, eval_yaml: Path):
    given = ["--model.features", "tower", "--data.encoder.init_args.also", "[patches,tower]"]
    assert main(["fit", "--config", str(plp_yaml), *given]) == 0
    probe = load_file("run/plp/probe.safetensors")
    assert probe["weight"].shape == (2, 32)
    folders = {path.parent.name.partition("+")[2] for path in Path("cache").rglob("train-*.tar.safetensors")}
    assert folders == {"tower"}
    settings = yaml.safe_load(eval_yaml.read_text())
    plp = {"probe": "run/plp/probe.safetensors", "features": "tower"}
    settings["model"]["init_args"]["detectors"] = {"PLP": {"class_path": DETECTOR, "init_args": plp}}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml), *given[2:]]) == 0
    scores = parquet.read_table("run/eval/scores.parquet")["PLP"].to_pylist()
    assert all(-math.log(2) <= score <= 0 for score in scores)
    assert len(set(scores)) > 30


def test_a_probe_of_the_tower_needs_the_tower(plp_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(plp_yaml), "--model.features", "tower"]) == 2
    assert "the probe reads tower features: give data.encoder.also: [tower]" in capsys.readouterr().err
